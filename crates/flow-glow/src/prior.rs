//! The learned priors, as bijections that whiten: under the model every latent is standard normal.
//!
//! Adding ln p(z₂ | z₁) to the likelihood, as the published code does, gives the same number by a
//! second code path.

use crate::config::{GlowConfig, ImageShape};
use crate::conventions::{Conventions, Half, PriorForm};
use crate::network::ZeroConv;
use crate::{Error, Result};
use candle_core::Tensor;
use flow_core::params::{Init, ParamBuilder};
use flow_core::{Bijection, Whiten};

/// Puts the half of the channels that is kept first, and whitens the other by a Gaussian predicted from it
/// (arXiv:1605.08803, section 3.6, with the learned prior of arXiv:1807.03039's published code).
///
/// Under every other [`PriorForm`] the half that is taken out leaves as it is; the prior of its level
/// whitens it.
pub struct SplitPrior {
    channels: usize,
    keeps: Half,
    conv: Option<ZeroConv>,
}

impl SplitPrior {
    /// For `[B, channels, H, W]`, `channels` even. Parameters below `conv`.
    pub fn new(
        conventions: &Conventions,
        channels: usize,
        params: ParamBuilder,
    ) -> candle_core::Result<Self> {
        let conv = (conventions.split_prior == PriorForm::Convolution).then(|| {
            let padding = conventions.padding;
            ZeroConv::new(channels / 2, channels, padding, params.pp("conv"))
        });
        Ok(Self {
            channels,
            keeps: conventions.split_keeps,
            conv: conv.transpose()?,
        })
    }

    /// # Errors
    /// If there are more or fewer channels.
    fn check(&self, x: &Tensor) -> candle_core::Result<()> {
        match *x.dims() {
            [_, channels, _, _] if channels == self.channels => Ok(()),
            _ => candle_core::bail!(
                "split: got a tensor of shape {:?}, needed [B, {}, H, W]",
                x.dims(),
                self.channels
            ),
        }
    }

    /// The Gaussian of what is taken out given what is kept, `[B, C, H, W]`.
    fn whiten(&self, kept: &Tensor) -> candle_core::Result<Option<Whiten>> {
        let Some(conv) = &self.conv else {
            return Ok(None);
        };
        halves(&conv.forward(kept)?).map(Some)
    }
}

impl Bijection for SplitPrior {
    fn forward(&self, x: &Tensor) -> candle_core::Result<(Tensor, Tensor)> {
        self.check(x)?;
        if x.elem_count() == 0 {
            return Ok((x.clone(), Tensor::zeros(x.dim(0)?, x.dtype(), x.device())?));
        }
        let half = x.dim(1)? / 2;
        let (first, second) = (x.narrow(1, 0, half)?, x.narrow(1, half, half)?);
        let (kept, taken_out) = match self.keeps {
            Half::First => (first, second),
            Half::Second => (second, first),
        };
        let (white, log_det) = if let Some(whiten) = self.whiten(&kept)? {
            whiten.forward(&taken_out)?
        } else {
            let log_det = Tensor::zeros(x.dim(0)?, x.dtype(), x.device())?;
            (taken_out, log_det)
        };
        Ok((Tensor::cat(&[kept, white], 1)?, log_det))
    }

    fn inverse(&self, y: &Tensor) -> candle_core::Result<Tensor> {
        self.check(y)?;
        if y.elem_count() == 0 {
            return Ok(y.clone());
        }
        let half = y.dim(1)? / 2;
        let (kept, white) = (y.narrow(1, 0, half)?, y.narrow(1, half, half)?);
        let taken_out = match self.whiten(&kept)? {
            Some(whiten) => whiten.inverse(&white)?,
            None => white,
        };
        match self.keeps {
            Half::First => Tensor::cat(&[kept, taken_out], 1),
            Half::Second => Tensor::cat(&[taken_out, kept], 1),
        }
    }
}

/// The prior of a latent that depends on no other one, but on the class if there are any.
pub(crate) struct LatentPrior {
    gaussian: Gaussian,
    conditional: bool,
}

/// Means and, after them, ln std.
enum Gaussian {
    /// `[1, 2C]`, or of each element `[1, 2C, H, W]`; and what a class adds to them, `[classes, …]`.
    Table(Tensor, Option<Tensor>),
    /// What a convolution makes of these zeros, `[1, C, H, W]`.
    OfZeros(ZeroConv, Tensor),
}

impl LatentPrior {
    /// For latents of `shape`. Parameters `gaussian` and, with classes, `class_gaussian`, or those below
    /// `conv`, or none.
    pub(crate) fn new(
        form: PriorForm,
        config: &GlowConfig,
        shape: ImageShape,
        params: ParamBuilder,
    ) -> candle_core::Result<Self> {
        let ImageShape {
            channels,
            height,
            width,
        } = shape;
        let table = |places: &[usize]| {
            let get = |count: usize, name| {
                let shape = [&[count, 2 * channels], places].concat();
                params.get_with_hints(shape, name, Init::Zeros)
            };
            let classes = config.classes.map(|classes| get(classes, "class_gaussian"));
            candle_core::Result::Ok(Gaussian::Table(get(1, "gaussian")?, classes.transpose()?))
        };
        let gaussian = match form {
            PriorForm::Channel => table(&[])?,
            PriorForm::Element => table(&[height, width])?,
            PriorForm::Standard => {
                let zeros = Tensor::zeros((1, 2 * channels), params.dtype(), params.device())?;
                Gaussian::Table(zeros, None)
            }
            PriorForm::Convolution => {
                let padding = config.conventions.padding;
                let zeros = (1, channels, height, width);
                Gaussian::OfZeros(
                    ZeroConv::new(channels, 2 * channels, padding, params.pp("conv"))?,
                    Tensor::zeros(zeros, params.dtype(), params.device())?,
                )
            }
        };
        Ok(Self {
            gaussian,
            conditional: config.classes.is_some(),
        })
    }

    /// The prior bound to the classes of a batch, `[B]` in u32; a model without classes takes none.
    ///
    /// # Errors
    /// If labels are missing, or given to a model that has no use for them.
    pub(crate) fn given(&self, labels: Option<&Tensor>) -> Result<Whiten> {
        match (self.conditional, labels) {
            (true, None) => {
                return Err(Error::Config(
                    "the model is class-conditional: labels are needed".into(),
                ));
            }
            (false, Some(_)) => {
                return Err(Error::Config(
                    "the model has no classes: labels have no meaning for it".into(),
                ));
            }
            _ => {}
        }
        let gaussian = match (&self.gaussian, labels) {
            (Gaussian::OfZeros(conv, zeros), _) => conv.forward(zeros)?,
            (Gaussian::Table(gaussian, Some(classes)), Some(labels)) => {
                gaussian.broadcast_add(&classes.index_select(labels, 0)?)?
            }
            (Gaussian::Table(gaussian, _), _) => gaussian.clone(),
        };
        Ok(halves(&gaussian)?)
    }
}

/// The Gaussian of which the first half of the channels is the mean, the second ln std: `[B, 2C]` or
/// `[B, 2C, H, W]`.
fn halves(gaussian: &Tensor) -> candle_core::Result<Whiten> {
    let half = gaussian.dim(1)? / 2;
    let part = |start| {
        let part = gaussian.narrow(1, start, half)?;
        match part.dims() {
            &[b, c] => part.reshape((b, c, 1, 1)),
            _ => Ok(part),
        }
    };
    Ok(Whiten::new(part(0)?, part(half)?))
}
