//! The multi-scale Glow: levels, latents, likelihood and samples (arXiv:1807.03039, section 3).

use crate::config::{Dequantization, GlowConfig, ImageShape};
use crate::conventions::{Conventions, PriorForm};
use crate::dequantizer::Dequantizer;
use crate::latents::Latents;
use crate::level::{InverseMaps, Level};
use crate::prior::LatentPrior;
use crate::runs::{Run, in_runs};
use crate::{Error, Result, quantize};
use candle_core::{DType, Device, Tensor};
use flow_core::distribution::log_sum_exp;
use flow_core::ops::Precision;
use flow_core::params::ParamBuilder;
use flow_core::{Bijection, random, standard_normal_log_prob, transfer};

/// A Glow with its parameters.
pub struct Glow {
    config: GlowConfig,
    pub(crate) levels: Vec<Level>,
    /// Of the latents that are split off, unless the splits themselves whiten.
    pub(crate) split_priors: Vec<LatentPrior>,
    pub(crate) prior: LatentPrior,
    pub(crate) dequantizer: Option<Dequantizer>,
    dtype: DType,
    device: Device,
}

/// Images that go through the model at a time: enough for large matrix products, and a bound on memory
/// for any batch.
pub(crate) const RUN_LENGTH: usize = 32;

impl Glow {
    /// Parameters below `levels.{l}`, `prior` and, where noise is learned, `dequantizer`.
    ///
    /// # Errors
    /// If the configuration is not valid, or `params` does not hold its parameters.
    pub fn new(config: &GlowConfig, params: ParamBuilder) -> Result<Self> {
        Self::with_precision(config, Precision::F32, params)
    }

    /// As [`new`](Self::new), with coupling networks that compute in `precision`. Parameters, all else
    /// that is computed, and the log-determinant keep the type of `params`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_precision(
        config: &GlowConfig,
        precision: Precision,
        params: ParamBuilder,
    ) -> Result<Self> {
        config.validate()?;
        // A level passes on half of the four channels that squeezing makes of one.
        let channels = |level: usize| config.image.channels << level;
        let levels = (0..config.levels)
            .map(|l| {
                Level::new(
                    config,
                    precision,
                    channels(l),
                    l + 1 == config.levels,
                    params.pp("levels").pp(l),
                )
            })
            .collect::<candle_core::Result<_>>()?;
        let prior = |level: usize, form, params| {
            LatentPrior::new(form, config, latent_shape(config, level), params)
        };
        let Conventions {
            split_prior,
            top_prior,
            ..
        } = config.conventions;
        let splits = if split_prior == PriorForm::Convolution {
            0
        } else {
            config.levels - 1
        };
        let split_priors = (0..splits)
            .map(|l| prior(l, split_prior, params.pp("levels").pp(l).pp("split")))
            .collect::<candle_core::Result<_>>()?;
        let dequantizer = match config.dequantization {
            Dequantization::Uniform => None,
            Dequantization::Variational { steps, width } => {
                let params = params.pp("dequantizer");
                Some(Dequantizer::new(
                    config.image,
                    steps,
                    width,
                    precision,
                    params,
                )?)
            }
        };
        Ok(Self {
            dequantizer,
            config: config.clone(),
            levels,
            split_priors,
            prior: prior(config.levels - 1, top_prior, params.pp("prior"))?,
            dtype: params.dtype(),
            device: params.device().clone(),
        })
    }

    /// What the model is.
    pub fn config(&self) -> &GlowConfig {
        &self.config
    }

    /// x `[B, C, H, W]` in model space (see [`quantize`]) → its latents, and ln|det ∂latents/∂x|,
    /// `[B]`. `labels` are `[B]` in u32, for a model with classes. Infinite or NaN is what leaves the
    /// range of the parameters' type.
    pub fn encode(&self, x: &Tensor, labels: Option<&Tensor>) -> Result<(Latents, Tensor)> {
        self.check_images(x)?;
        if x.dim(0)? == 0 {
            self.prior.given(labels)?;
            let log_det = Tensor::zeros(0, x.dtype(), x.device())?;
            return Ok((self.draw_latents(0, 1.0, 0)?, log_det));
        }
        let (outputs, log_det) = self.pass_levels(x)?;
        let (latents, prior_log_det) = self.whiten(&outputs, labels)?;
        Ok((latents, (log_det + prior_log_det)?))
    }

    /// What each level makes of x `[B, C, H, W]`, the next one going on from the first half of its
    /// channels, and the log-determinant of all of them, `[B]`.
    pub(crate) fn pass_levels(&self, x: &Tensor) -> Result<(Vec<Tensor>, Tensor)> {
        self.check_images(x)?;
        let mut outputs = Vec::with_capacity(self.levels.len());
        let (mut x, mut log_det) = (x.clone(), Tensor::zeros(x.dim(0)?, x.dtype(), x.device())?);
        for level in &self.levels {
            let (y, level_log_det) = level.forward(&x)?;
            log_det = (log_det + level_log_det)?;
            x = y.narrow(1, 0, y.dim(1)? / 2)?;
            outputs.push(y);
        }
        Ok((outputs, log_det))
    }

    /// The latents in what [`pass_levels`](Self::pass_levels) gives, and the log-determinant of making
    /// them white, `[B]`.
    pub(crate) fn whiten(
        &self,
        outputs: &[Tensor],
        labels: Option<&Tensor>,
    ) -> Result<(Latents, Tensor)> {
        let prior = self.prior.given(labels)?;
        let (top, others) = outputs.split_last().expect("a model has a level");
        let mut latents = Vec::with_capacity(outputs.len());
        let (z, mut log_det) = prior.forward(top)?;
        for (l, y) in others.iter().enumerate() {
            let half = y.dim(1)? / 2;
            let mut split_off = y.narrow(1, half, half)?.contiguous()?;
            if let Some(prior) = self.split_priors.get(l) {
                let (white, prior_log_det) = prior.given(labels)?.forward(&split_off)?;
                log_det = (log_det + prior_log_det)?;
                split_off = white;
            }
            latents.push(split_off);
        }
        latents.push(z);
        Ok((Latents(latents), log_det))
    }

    /// What tells classes apart in what [`pass_levels`](Self::pass_levels) gives: ln p(x | class) in nats but for
    /// a term that all classes share, `[B, classes]`.
    pub(crate) fn class_log_priors(&self, outputs: &[Tensor]) -> Result<Tensor> {
        let (top, others) = outputs.split_last().expect("a model has a level");
        let log_prior = |class: usize| {
            let labels = Tensor::full(class as u32, top.dim(0)?, top.device())?;
            let (z, log_det) = self.prior.given(Some(&labels))?.forward(top)?;
            let mut log_prior = (standard_normal_log_prob(&z)? + log_det)?;
            for (prior, y) in self.split_priors.iter().zip(others) {
                let half = y.dim(1)? / 2;
                let split_off = y.narrow(1, half, half)?.contiguous()?;
                let (z, log_det) = prior.given(Some(&labels))?.forward(&split_off)?;
                log_prior = ((log_prior + standard_normal_log_prob(&z)?)? + log_det)?;
            }
            Ok(log_prior)
        };
        let classes = 0..self.config.classes.unwrap_or(0);
        let log_priors = classes.map(log_prior).collect::<Result<Vec<_>>>()?;
        Ok(Tensor::stack(&log_priors, 1)?)
    }

    /// ln p(class | x), `[B, classes]`, of x `[B, C, H, W]` in model space, where all classes are equally
    /// likely: the flow is the same for all of them, so it is passed once.
    ///
    /// # Errors
    /// If the model has no classes.
    pub fn class_log_posteriors(&self, x: &Tensor) -> Result<Tensor> {
        let Some(classes) = self.config.classes else {
            return Err(Error::Config(
                "the model has no classes to be told apart".into(),
            ));
        };
        self.check_images(x)?;
        if x.dim(0)? == 0 {
            return Ok(Tensor::zeros((0, classes), x.dtype(), x.device())?);
        }
        let log_posteriors = |run: Run| {
            let (outputs, _) = self.pass_levels(&run.of(x)?)?;
            let log_priors = self.class_log_priors(&outputs)?;
            Ok(log_priors.broadcast_sub(&log_sum_exp(&log_priors)?.unsqueeze(1)?)?)
        };
        let runs = in_runs(&self.device, x.dim(0)?, RUN_LENGTH, log_posteriors)?;
        Ok(Tensor::cat(&runs, 0)?)
    }

    /// What inverts the channel maps of each level.
    ///
    /// # Errors
    /// If one has no inverse; the error names its parameters.
    pub(crate) fn inverse_maps(&self) -> Result<Vec<InverseMaps>> {
        let maps = self.levels.iter().map(Level::inverse_maps);
        Ok(maps.collect::<candle_core::Result<_>>()?)
    }

    /// ln p(x) in nats, `[B]`, of x `[B, C, H, W]` in model space: −∞ or NaN where x lies so far out
    /// that numbers leave the range of the parameters' type. [`finite::rows`](crate::finite::rows)
    /// tells which.
    pub fn log_prob(&self, x: &Tensor, labels: Option<&Tensor>) -> Result<Tensor> {
        self.check_images(x)?;
        let log_prob = |run: Run| {
            let labels = labels.map(|labels| run.of(labels)).transpose()?;
            self.log_prob_of_run(&run.of(x)?, labels.as_ref())
        };
        let runs = in_runs(&self.device, x.dim(0)?, RUN_LENGTH, log_prob)?;
        Ok(Tensor::cat(&runs, 0)?)
    }

    fn log_prob_of_run(&self, x: &Tensor, labels: Option<&Tensor>) -> Result<Tensor> {
        let (latents, mut log_prob) = self.encode(x, labels)?;
        for latent in &latents.0 {
            log_prob = (log_prob + standard_normal_log_prob(latent)?)?;
        }
        Ok(log_prob)
    }

    /// `count` draws in model space, `[count, C, H, W]`. `temperature` scales the latents of every
    /// level; `labels` are `[count]` in u32, for a model with classes. The draws are finite at every
    /// temperature; see [`decode`](Self::decode).
    ///
    /// # Errors
    /// If the temperature is negative or not finite.
    pub fn sample(
        &self,
        count: usize,
        labels: Option<&Tensor>,
        temperature: f64,
        seed: u64,
    ) -> Result<Tensor> {
        self.decode(&self.draw_latents(count, temperature, seed)?, labels)
    }

    /// The latents that [`sample`](Self::sample) decodes.
    ///
    /// # Errors
    /// If the temperature is negative or not finite.
    pub fn draw_latents(&self, count: usize, temperature: f64, seed: u64) -> Result<Latents> {
        if !(temperature >= 0.0 && temperature.is_finite()) {
            return Err(Error::Config(format!(
                "a temperature is 0 or more and finite, not {temperature}"
            )));
        }
        let draw = |(level, shape): (usize, ImageShape)| {
            let seed = random::derive(seed, &format!("latents.{level}"));
            let shape = (count, shape.channels, shape.height, shape.width);
            random::normal(seed, shape, self.dtype, &self.device)? * temperature
        };
        let levels = self.latent_shapes().enumerate().map(draw);
        Ok(Latents(levels.collect::<candle_core::Result<_>>()?))
    }

    /// Pixels `[B, C, H, W]` in u8 → x of the same shape in model space, and by how many nats the log-likelihood of
    /// the image differs from ln p(x), `[B]`. `seed` draws the noise; see [`quantize`].
    pub fn dequantize(&self, images: &Tensor, seed: u64) -> Result<(Tensor, Tensor)> {
        let uniform = random::uniform(seed, images.shape(), self.dtype, &self.device)?;
        self.dequantize_by(images, &uniform)
    }

    /// As [`dequantize`](Self::dequantize), by uniform numbers on [0, 1) of the shape of the images
    /// and the type of the model, on its device.
    pub fn dequantize_by(&self, images: &Tensor, uniform: &Tensor) -> Result<(Tensor, Tensor)> {
        self.check_images(images)?;
        let images = transfer::to_device(images, &self.device)?;
        let of_run = |run: Run| self.dequantize_with(&run.of(&images)?, &run.of(uniform)?);
        let runs = in_runs(&self.device, images.dim(0)?, RUN_LENGTH, of_run)?;
        let (x, offsets): (Vec<_>, Vec<_>) = runs.into_iter().unzip();
        Ok((Tensor::cat(&x, 0)?, Tensor::cat(&offsets, 0)?))
    }

    /// As [`dequantize_by`](Self::dequantize_by), of one run.
    pub(crate) fn dequantize_with(
        &self,
        images: &Tensor,
        uniform: &Tensor,
    ) -> Result<(Tensor, Tensor)> {
        let Some(dequantizer) = &self.dequantizer else {
            return Ok(quantize::dequantize(&self.config, images, uniform)?);
        };
        let center = quantize::center(&self.config, images, uniform.dtype())?;
        let (noise, log_det) = dequantizer.noise(&center, uniform)?;
        let (x, offset) = quantize::dequantize(&self.config, images, &noise)?;
        Ok((x, (offset + log_det)?))
    }

    /// Bits per dimension of u8 images `[B, C, H, W]`, `[B]`: an upper bound with one draw of
    /// dequantisation noise from `seed`.
    pub fn bits_per_dim(
        &self,
        images: &Tensor,
        labels: Option<&Tensor>,
        seed: u64,
    ) -> Result<Tensor> {
        let labels = labels
            .map(|labels| transfer::to_device(labels, &self.device))
            .transpose()?;
        let (x, offset) = self.dequantize(images, seed)?;
        let log_likelihood = (self.log_prob(&x, labels.as_ref())? + offset)?;
        Ok(quantize::bits_per_dim(&self.config, &log_likelihood)?)
    }

    /// `count` draws as u8 images, `[count, C, H, W]`; see [`sample`](Self::sample).
    ///
    /// # Errors
    /// As [`sample`](Self::sample), and [`Error::NonFiniteImages`].
    pub fn sample_images(
        &self,
        count: usize,
        labels: Option<&Tensor>,
        temperature: f64,
        seed: u64,
    ) -> Result<Tensor> {
        quantize::quantize(
            &self.config,
            &self.sample(count, labels, temperature, seed)?,
        )
    }

    /// Sets the parameters that depend on data from one batch x `[B, C, H, W]` in model space. Once,
    /// on a fresh model.
    pub fn initialize(&self, x: &Tensor) -> Result<()> {
        self.check_images(x)?;
        if x.dim(0)? == 0 {
            let reason = "initialisation needs at least one image";
            return Err(Error::Config(reason.into()));
        }
        let mut x = x.clone();
        for level in &self.levels {
            let y = level.initialize(&x)?;
            x = y.narrow(1, 0, y.dim(1)? / 2)?;
        }
        Ok(())
    }

    /// Size of each level's latent.
    pub fn latent_shapes(&self) -> impl Iterator<Item = ImageShape> {
        (0..self.config.levels).map(|level| latent_shape(&self.config, level))
    }

    /// The type of its parameters.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The device of its parameters.
    pub fn device(&self) -> &Device {
        &self.device
    }

    pub(crate) fn check_images(&self, x: &Tensor) -> Result<()> {
        let expected = self.config.image;
        match *x.dims() {
            [_, c, h, w] if ImageShape::new(c, h, w) == expected => Ok(()),
            [_, c, h, w] => Err(Error::Config(format!(
                "the model takes images of {expected}, not {c}×{h}×{w}"
            ))),
            _ => Err(Error::Config(format!(
                "the model takes a batch of images of {expected}, not a tensor of shape {:?}",
                x.dims()
            ))),
        }
    }
}

/// Size of what a level splits off, or leaves if it is the last one.
fn latent_shape(config: &GlowConfig, level: usize) -> ImageShape {
    let ImageShape {
        channels,
        height,
        width,
    } = config.image;
    let split = if level + 1 < config.levels { 2 } else { 4 };
    ImageShape::new(
        (channels << level) * split,
        height >> (level + 1),
        width >> (level + 1),
    )
}
