//! The learned priors, as bijections that whiten: under the model every latent is standard normal.
//!
//! Adding ln p(z₂ | z₁) to the likelihood, as the published code does, gives the same number by a
//! second code path.

use crate::network::ZeroConv;
use crate::{Error, Result};
use candle_core::Tensor;
use flow_core::params::{Init, ParamBuilder};
use flow_core::{Bijection, Whiten};

/// Whitens the second half of the channels by a Gaussian predicted from the first
/// (arXiv:1605.08803, section 3.6, with the learned prior of arXiv:1807.03039's published code).
pub struct SplitPrior {
    conv: ZeroConv,
}

impl SplitPrior {
    /// For `[B, channels, H, W]`, `channels` even. Parameters below `conv`.
    pub fn new(channels: usize, params: ParamBuilder) -> candle_core::Result<Self> {
        Ok(Self {
            conv: ZeroConv::new(channels / 2, channels, params.pp("conv"))?,
        })
    }

    /// Both halves of the channels, and the Gaussian of the second given the first.
    fn split(&self, x: &Tensor) -> candle_core::Result<(Tensor, Tensor, Whiten)> {
        let half = x.dim(1)? / 2;
        let kept = x.narrow(1, 0, half)?;
        let gaussian = self.conv.forward(&kept)?;
        let whiten = Whiten::new(
            gaussian.narrow(1, 0, half)?,
            gaussian.narrow(1, half, half)?,
        );
        Ok((kept, x.narrow(1, half, half)?, whiten))
    }
}

impl Bijection for SplitPrior {
    fn forward(&self, x: &Tensor) -> candle_core::Result<(Tensor, Tensor)> {
        let (kept, factored_out, whiten) = self.split(x)?;
        let (white, log_det) = whiten.forward(&factored_out)?;
        Ok((Tensor::cat(&[kept, white], 1)?, log_det))
    }

    fn inverse(&self, y: &Tensor) -> candle_core::Result<Tensor> {
        let (kept, white, whiten) = self.split(y)?;
        Tensor::cat(&[kept, whiten.inverse(&white)?], 1)
    }
}

/// The prior of what the last level leaves: one Gaussian a channel, of each class if there are any.
pub struct TopPrior {
    /// Mean and ln std, `[1, 2C]`.
    gaussian: Tensor,
    /// What a class adds to them, `[classes, 2C]`.
    class_gaussian: Option<Tensor>,
}

impl TopPrior {
    /// Parameters `gaussian` and, with classes, `class_gaussian`.
    pub fn new(channels: usize, classes: Option<usize>, params: ParamBuilder) -> Result<Self> {
        let class_gaussian = classes
            .map(|classes| {
                params.get_with_hints((classes, 2 * channels), "class_gaussian", Init::Zeros)
            })
            .transpose()?;
        Ok(Self {
            gaussian: params.get_with_hints((1, 2 * channels), "gaussian", Init::Zeros)?,
            class_gaussian,
        })
    }

    /// The prior bound to the classes of a batch, `[B]` in u32; a model without classes takes none.
    ///
    /// # Errors
    /// If labels are missing, or given to a model that has no use for them.
    pub fn given(&self, labels: Option<&Tensor>) -> Result<Whiten> {
        let gaussian = match (&self.class_gaussian, labels) {
            (None, None) => self.gaussian.clone(),
            (Some(classes), Some(labels)) => self
                .gaussian
                .broadcast_add(&classes.index_select(labels, 0)?)?,
            (Some(_), None) => {
                return Err(Error::Config(
                    "the model is class-conditional: labels are needed".into(),
                ));
            }
            (None, Some(_)) => {
                return Err(Error::Config(
                    "the model has no classes: labels have no meaning for it".into(),
                ));
            }
        };
        let (b, doubled) = gaussian.dims2()?;
        let half = |index| {
            gaussian
                .narrow(1, index * doubled / 2, doubled / 2)?
                .reshape((b, doubled / 2, 1, 1))
        };
        Ok(Whiten::new(half(0)?, half(1)?))
    }
}
