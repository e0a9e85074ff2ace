//! Learned priors, as whitening bijections: under the model every latent is standard normal.
//!
//! The published code adds ln p(z₂ | z₁) to the likelihood instead; the number is the same.

use crate::config::GlowConfig;
use crate::conventions::{Conventions, Half, PriorForm};
use crate::network::ZeroConv;
use candle_core::{Tensor, bail};
use flow_core::params::{Init, ParamBuilder};
use flow_core::runs::Rows;
use flow_core::{Bijection, LatentShapes, Limit, Whiten, standard_normal_log_prob};

/// Puts the kept half of the channels first, and whitens the other by a Gaussian predicted from it
/// (arXiv:1605.08803, section 3.6; the learned prior is that of arXiv:1807.03039's published code).
///
/// Under every other [`PriorForm`] the other half stays as it is, and the prior of its level
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
    /// If the number of channels differs.
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

    /// Its output, and its log-determinant as a sum over places, `[B, H, W]`.
    pub(crate) fn forward_by_place(&self, x: &Tensor) -> candle_core::Result<(Tensor, Tensor)> {
        let (y, _) = self.forward(x)?;
        let half = x.dim(1)? / 2;
        let kept = y.narrow(1, 0, half)?;
        let log_det = match self.whiten(&kept)? {
            Some(whiten) => log_slopes(&kept, |x| Ok(whiten.forward(x)?.0))?,
            None => kept.zeros_like()?.sum(1)?,
        };
        Ok((y, log_det))
    }

    /// The Gaussian of the half that is factored out, given the kept half, `[B, C, H, W]`.
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

/// ln|det| of a whitening map as a sum over places, `[B, H, W]`: an affine map of each number, so
/// its slope is the difference of its values at 1 and 0.
///
/// # Errors
/// If the shapes do not fit.
pub(crate) fn log_slopes(
    like: &Tensor,
    white: impl Fn(&Tensor) -> candle_core::Result<Tensor>,
) -> candle_core::Result<Tensor> {
    let slopes = (white(&like.ones_like()?)? - white(&like.zeros_like()?)?)?;
    slopes.log()?.sum(1)
}

/// The prior of a latent that depends on the condition alone, if on anything.
pub(crate) struct LatentPrior(Gaussian);

/// Means and, after them, ln std.
enum Gaussian {
    /// `[1, 2C]`, or of each element `[1, 2C, H, W]`.
    Table(Tensor),
    /// The same, plus a row for each class, `[classes, …]`.
    OfClass(Tensor, Tensor),
    /// The same, plus a row for each of K numbers times that number, `[K, …]`.
    OfNumbers(Tensor, Tensor),
    /// A convolution's output for these zeros, `[1, C, H, W]`.
    OfZeros(ZeroConv, Tensor),
}

impl LatentPrior {
    /// For latents of shape `[C, H, W]`. Parameters `gaussian` and, with a condition,
    /// `class_gaussian` or `condition_gaussian`; or those below `conv`; or none.
    pub(crate) fn new(
        form: PriorForm,
        config: &GlowConfig,
        [channels, height, width]: [usize; 3],
        params: ParamBuilder,
    ) -> candle_core::Result<Self> {
        let table = |places: &[usize]| {
            let get = |rows: usize, name| {
                let shape = [&[rows, 2 * channels], places].concat();
                params.get_with_hints(shape, name, Init::Zeros)
            };
            let gaussian = get(1, "gaussian")?;
            candle_core::Result::Ok(match (config.classes, &config.condition) {
                (Some(classes), _) => Gaussian::OfClass(gaussian, get(classes, "class_gaussian")?),
                (None, Some(condition)) => {
                    let numbers = condition.columns.len();
                    Gaussian::OfNumbers(gaussian, get(numbers, "condition_gaussian")?)
                }
                (None, None) => Gaussian::Table(gaussian),
            })
        };
        Ok(Self(match form {
            PriorForm::Channel => table(&[])?,
            PriorForm::Element => table(&[height, width])?,
            PriorForm::Standard => {
                let zeros = (1, 2 * channels);
                Gaussian::Table(Tensor::zeros(zeros, params.dtype(), params.device())?)
            }
            PriorForm::Convolution => {
                let padding = config.conventions.padding;
                let zeros = (1, channels, height, width);
                Gaussian::OfZeros(
                    ZeroConv::new(channels, 2 * channels, padding, params.pp("conv"))?,
                    Tensor::zeros(zeros, params.dtype(), params.device())?,
                )
            }
        }))
    }

    /// Whitened latents `[B, C, H, W]`, and the log-determinant as a sum over places, `[B, H, W]`.
    pub(crate) fn forward_by_place(
        &self,
        latent: &Tensor,
        context: Option<&Tensor>,
    ) -> candle_core::Result<(Tensor, Tensor)> {
        let whiten = match context {
            Some(context) => self.whiten_given(context)?,
            None => self.whiten()?,
        };
        let white = |x: &Tensor| Ok(whiten.forward(x)?.0);
        Ok((white(latent)?, log_slopes(latent, white)?))
    }

    fn whiten(&self) -> candle_core::Result<Whiten> {
        match &self.0 {
            Gaussian::Table(gaussian) => halves(gaussian),
            Gaussian::OfZeros(conv, zeros) => halves(&conv.forward(zeros)?),
            Gaussian::OfClass(..) => bail!("the model is class-conditional: labels are needed"),
            Gaussian::OfNumbers(_, of_each) => bail!(
                "the model is conditional: {} numbers are needed for each image",
                of_each.dims()[0]
            ),
        }
    }

    /// The prior of each row of `context`: classes `[B, 1]` in u32, or numbers `[B, K]`.
    fn whiten_given(&self, context: &Tensor) -> candle_core::Result<Whiten> {
        let (gaussian, added) = match &self.0 {
            Gaussian::Table(_) | Gaussian::OfZeros(..) => return self.whiten(),
            Gaussian::OfClass(gaussian, of_each) => {
                (gaussian, of_each.index_select(&context.squeeze(1)?, 0)?)
            }
            Gaussian::OfNumbers(gaussian, of_each) => {
                let added = context.matmul(&of_each.flatten_from(1)?)?;
                let shape = [&context.dims()[..1], &of_each.dims()[1..]].concat();
                (gaussian, added.reshape(shape)?)
            }
        };
        halves(&gaussian.broadcast_add(&added)?)
    }
}

impl Bijection for LatentPrior {
    fn forward(&self, x: &Tensor) -> candle_core::Result<(Tensor, Tensor)> {
        self.whiten()?.forward(x)
    }

    fn inverse(&self, y: &Tensor) -> candle_core::Result<Tensor> {
        self.whiten()?.inverse(y)
    }

    fn context(&self) -> Option<usize> {
        match &self.0 {
            Gaussian::Table(_) | Gaussian::OfZeros(..) => None,
            Gaussian::OfClass(..) => Some(1),
            Gaussian::OfNumbers(_, of_each) => Some(of_each.dims()[0]),
        }
    }

    fn given(&self, context: &Tensor) -> candle_core::Result<Box<dyn Bijection + '_>> {
        Ok(Box::new(self.whiten_given(context)?))
    }
}

/// The priors of all levels, as a bijection of latents `[B, D]`.
pub(crate) struct Priors<P = LatentPrior> {
    /// `None` where the level itself whitens its latents.
    levels: Vec<Option<P>>,
    latents: LatentShapes,
}

impl Priors {
    /// Parameters of the splits below `levels.{l}.split`, those of the last level below `prior`.
    pub(crate) fn new(
        config: &GlowConfig,
        latents: &LatentShapes,
        params: &ParamBuilder,
    ) -> candle_core::Result<Self> {
        let Conventions {
            split_prior,
            top_prior,
            ..
        } = config.conventions;
        let prior = |(level, shape)| {
            if level + 1 == config.levels {
                LatentPrior::new(top_prior, config, shape, params.pp("prior")).map(Some)
            } else if split_prior == PriorForm::Convolution {
                Ok(None)
            } else {
                let params = params.pp("levels").pp(level).pp("split");
                LatentPrior::new(split_prior, config, shape, params).map(Some)
            }
        };
        let levels = latents.iter().enumerate().map(prior);
        Ok(Self {
            levels: levels.collect::<candle_core::Result<_>>()?,
            latents: latents.clone(),
        })
    }

    /// ln p `[B]` of the latents in `y` `[B, D]` that have a prior here, given `context`.
    pub(crate) fn log_prob_given(
        &self,
        y: &Tensor,
        context: &Tensor,
    ) -> candle_core::Result<Tensor> {
        let mut sum: Option<Tensor> = None;
        for (latent, prior) in self.top_first(y)? {
            let Some(prior) = prior else { continue };
            let (z, log_det) = prior.whiten_given(context)?.forward(&latent)?;
            let log_prob = standard_normal_log_prob(&z)?;
            sum = Some(match sum {
                Some(sum) => ((sum + log_prob)? + log_det)?,
                None => (log_prob + log_det)?,
            });
        }
        Ok(sum.expect("the last level has a prior"))
    }
}

impl<P> Priors<P> {
    /// Priors of levels, in their order.
    pub(crate) fn levels(&self) -> &[Option<P>] {
        &self.levels
    }

    /// The latents in `rows` `[B, D]` with their priors: the last level, then the others in order.
    /// Sums over levels are taken in this order.
    fn top_first(&self, rows: &Tensor) -> candle_core::Result<Vec<(Tensor, &Option<P>)>> {
        let latents = self.latents.split(rows)?.into_iter();
        let mut levels = latents.zip(&self.levels).collect::<Vec<_>>();
        levels.rotate_right(1);
        Ok(levels)
    }

    /// The same architecture with other priors.
    fn with<'a>(
        &'a self,
        prior: impl Fn(&'a P) -> candle_core::Result<Box<dyn Bijection + 'a>>,
    ) -> candle_core::Result<Priors<Box<dyn Bijection + 'a>>> {
        let levels = self
            .levels
            .iter()
            .map(|level| level.as_ref().map(&prior).transpose());
        Ok(Priors {
            levels: levels.collect::<candle_core::Result<_>>()?,
            latents: self.latents.clone(),
        })
    }
}

impl<P: Bijection> Bijection for Priors<P> {
    fn forward(&self, x: &Tensor) -> candle_core::Result<(Tensor, Tensor)> {
        let (mut white, mut log_dets) = (Vec::new(), Vec::new());
        for (latent, prior) in self.top_first(x)? {
            let Some(prior) = prior else {
                white.push(latent);
                continue;
            };
            let (z, log_det) = prior.forward(&latent)?;
            white.push(z);
            log_dets.push(log_det);
        }
        white.rotate_left(1);
        let log_det = log_dets
            .into_iter()
            .map(Ok)
            .reduce(|sum, log_det| sum? + log_det?);
        Ok((
            self.latents.join(&white)?,
            log_det.expect("the last level has a prior")?,
        ))
    }

    fn inverse(&self, y: &Tensor) -> candle_core::Result<Tensor> {
        self.inverse_within(y, Ok)
    }

    fn inverse_within(&self, y: &Tensor, limit: Limit) -> candle_core::Result<Tensor> {
        let levels = self.latents.split(y)?.into_iter().zip(&self.levels);
        let latents = levels.map(|(z, prior)| match prior {
            Some(prior) => prior.inverse_within(&limit(z)?, limit),
            None => limit(z),
        });
        self.latents
            .join(&latents.collect::<candle_core::Result<Vec<_>>>()?)
    }

    fn context(&self) -> Option<usize> {
        self.levels.iter().flatten().find_map(Bijection::context)
    }

    fn given(&self, context: &Tensor) -> candle_core::Result<Box<dyn Bijection + '_>> {
        Ok(Box::new(self.with(|prior| prior.given_if_taken(context))?))
    }

    fn frozen(&self, rows: &Rows) -> candle_core::Result<Box<dyn Bijection + '_>> {
        Ok(Box::new(self.with(|prior| prior.frozen(rows))?))
    }
}

/// The Gaussian whose mean is the first half of the channels and whose ln std is the second: `[B,
/// 2C]` or `[B, 2C, H, W]`.
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
