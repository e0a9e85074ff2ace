//! The multi-scale Glow as a flow: levels, then whitening priors (arXiv:1807.03039, section 3).

use crate::config::{Dequantization, GlowConfig, ImageShape};
use crate::dequantizer::Dequantizer;
use crate::latents::{LatentNormal, Latents};
use crate::part::Part;
use crate::prior::Priors;
use crate::runs::{RUN_OF_ACCELERATOR, Run, in_runs};
use crate::{Error, Result, quantize};
use candle_core::{DType, Device, Tensor};
use flow_core::distribution::log_sum_exp;
use flow_core::ops::Precision;
use flow_core::params::ParamBuilder;
use flow_core::runs::RunLength;
use flow_core::train::Data;
use flow_core::{Bijection, Chain, Flow, LatentShapes, MultiScale, random, transfer};
use std::ops::Deref;
use std::sync::Arc;

/// A flow of images x `[B, C, H, W]` in model space, with the map from pixels and back.
///
/// It is a [`Flow`] whose latents are rows `[B, D]`, first level first; [`latents`](Self::latents)
/// splits them. `B` is the bijection, such as one with a bound condition.
pub struct Glow<B = Chain<Stage>> {
    config: Arc<GlowConfig>,
    flow: Flow<B>,
    pub(crate) dequantizer: Option<Arc<Dequantizer>>,
    dtype: DType,
    device: Device,
}

/// One of the two stages of a [`Glow`]: its levels or its priors.
pub struct Stage(StageMap);

enum StageMap {
    Levels(Levels),
    Priors(Priors),
}

impl Deref for Stage {
    type Target = dyn Bijection;

    fn deref(&self) -> &Self::Target {
        match &self.0 {
            StageMap::Levels(levels) => levels,
            StageMap::Priors(priors) => priors,
        }
    }
}

/// The levels of a model.
pub(crate) type Levels = MultiScale<Chain<Part>>;

/// Most images per run through the model: enough for large matrix products, and a bound on memory for
/// any batch.
pub(crate) const RUN_LENGTH: usize = 32;

impl<B> Deref for Glow<B> {
    type Target = Flow<B>;

    fn deref(&self) -> &Self::Target {
        &self.flow
    }
}

impl Glow {
    /// Parameters below `levels.{l}`, `prior` and, with learned noise, `dequantizer`.
    ///
    /// # Errors
    /// If the configuration is invalid, or `params` lacks a parameter.
    pub fn new(config: &GlowConfig, params: ParamBuilder) -> Result<Self> {
        Self::with_precision(config, Precision::F32, params)
    }

    /// As [`new`](Self::new), with coupling networks that compute in `precision`. Parameters, all
    /// other computations and the log-determinant keep the type of `params`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_precision(
        config: &GlowConfig,
        precision: Precision,
        params: ParamBuilder,
    ) -> Result<Self> {
        config.validate()?;
        let level = |l: usize| {
            // Squeezing makes four channels of one, and the level passes on two of them.
            let channels = config.image.channels << l;
            let params = params.pp("levels").pp(l);
            Part::level(config, precision, channels, l + 1 == config.levels, params)
        };
        let levels = (0..config.levels).map(level);
        let levels = levels.collect::<candle_core::Result<_>>()?;
        let levels = MultiScale::new(levels, config.image.into())?;
        let shapes = levels.latent_shapes().clone();
        let priors = Priors::new(config, &shapes, &params)?;
        let dequantizer = match config.dequantization {
            Dequantization::Uniform => None,
            Dequantization::Variational { steps, width } => {
                let params = params.pp("dequantizer");
                let dequantizer = Dequantizer::new(config.image, steps, width, precision, params)?;
                Some(Arc::new(dequantizer))
            }
        };
        let (dtype, device) = (params.dtype(), params.device().clone());
        let base = LatentNormal {
            shapes,
            dtype,
            device: device.clone(),
        };
        let stages = [StageMap::Levels(levels), StageMap::Priors(priors)];
        let bijection = Chain::new(stages.map(Stage).into())?;
        Ok(Self {
            config: Arc::new(config.clone()),
            flow: Flow::new(bijection, base).in_runs_of(RunLength {
                host: RUN_LENGTH,
                even: true,
                accelerator: RUN_OF_ACCELERATOR,
            }),
            dequantizer,
            dtype,
            device,
        })
    }

    /// The model under a condition: labels `[B]` in u32 for a model with classes, numbers `[B, K]`
    /// for one with columns. There is one row per image, or one for all.
    ///
    /// # Errors
    /// If the model takes no condition, or one of another shape.
    pub fn given(&self, condition: &Tensor) -> Result<Glow<Box<dyn Bijection + '_>>> {
        let context = self.config.context(condition, self.dtype)?;
        let context = transfer::to_device(&context, &self.device)?;
        Ok(self.with(self.flow.given(&context)?))
    }

    /// The model under the conditions of `data`, if it takes any, as in [`given`](Self::given).
    ///
    /// # Errors
    /// As [`given`](Self::given).
    pub fn conditioned_on(&self, data: &Data) -> Result<Glow<Box<dyn Bijection + '_>>> {
        if data.has_context() {
            self.given(data.context()?)
        } else {
            Ok(self.unconditional())
        }
    }

    /// The same model, borrowed, with the type of a conditioned one.
    pub fn unconditional(&self) -> Glow<Box<dyn Bijection + '_>> {
        self.with(self.flow.unconditional())
    }

    /// The same samples, with conditions in the form that the flow takes.
    ///
    /// # Errors
    /// If the conditions are missing, or do not fit the model.
    pub(crate) fn with_contexts(&self, data: Data) -> Result<Data> {
        if !data.has_context() {
            self.config.check_unconditional()?;
        }
        self.map_contexts(data)
    }

    /// As [`with_contexts`](Self::with_contexts), of conditions that may be missing.
    pub(crate) fn map_contexts(&self, data: Data) -> Result<Data> {
        data.map_context(|condition| self.config.context(condition, self.dtype))
    }

    fn stages(&self) -> (&Levels, &Priors) {
        match self.flow.bijection().parts() {
            [
                Stage(StageMap::Levels(levels)),
                Stage(StageMap::Priors(priors)),
            ] => (levels, priors),
            _ => unreachable!("`with_precision` makes these two"),
        }
    }

    pub(crate) fn levels(&self) -> &Levels {
        self.stages().0
    }

    pub(crate) fn priors(&self) -> &Priors {
        self.stages().1
    }

    /// Class-dependent part of ln p(x | class) `[B, classes]` in nats, from the levels' output `[B,
    /// D]`. The term that all classes share is left out.
    pub(crate) fn class_log_priors(&self, y: &Tensor) -> Result<Tensor> {
        Ok(self.for_each_class(y, |labels| self.priors().log_prob_given(y, labels))?)
    }

    /// The results `[B]` of `of_class` for the labels `[B, 1]` of each class, side by side: `[B,
    /// classes]`, for `y` `[B, D]`.
    fn for_each_class(
        &self,
        y: &Tensor,
        of_class: impl Fn(&Tensor) -> candle_core::Result<Tensor>,
    ) -> candle_core::Result<Tensor> {
        let of_class = |class: usize| {
            let labels = Tensor::full(class as u32, (y.dim(0)?, 1), y.device())?;
            of_class(&labels)
        };
        let of_classes = (0..self.config.classes.unwrap_or(0)).map(of_class);
        Tensor::stack(&of_classes.collect::<candle_core::Result<Vec<_>>>()?, 1)
    }

    /// ln p(class | x) `[B, classes]` of x `[B, C, H, W]` in model space, under equally likely
    /// classes. All classes share one pass of the levels.
    ///
    /// # Errors
    /// If the model has no classes.
    pub fn class_log_posteriors(&self, x: &Tensor) -> Result<Tensor> {
        self.after_levels(x, |y, _| {
            let log_priors = self.class_log_priors(y)?;
            Ok(log_priors.broadcast_sub(&log_sum_exp(&log_priors)?.unsqueeze(1)?)?)
        })
    }

    /// Bits per dimension of u8 images `[B, C, H, W]` given each class, `[B, classes]`, by one draw
    /// of noise from `seed`: that of an image's own class is the
    /// [`bits_per_dim`](Self::bits_per_dim) of the model that is [`given`](Self::given) it. All
    /// classes share one pass of the levels.
    ///
    /// # Errors
    /// If the model has no classes.
    pub fn class_bits_per_dim(&self, images: &Tensor, seed: u64) -> Result<Tensor> {
        let (x, offset) = self.dequantize(images, seed)?;
        let log_probs = self.after_levels(&x, |y, log_det| {
            Ok(self.for_each_class(y, |labels| {
                let (z, of_priors) = self.priors().given(labels)?.forward(y)?;
                self.base().add_log_prob(&(log_det + of_priors)?, &z)
            })?)
        })?;
        let log_likelihoods = log_probs.broadcast_add(&offset.unsqueeze(1)?)?;
        Ok(quantize::bits_per_dim(&self.config, &log_likelihoods)?)
    }

    /// Numbers `[B, classes]` of x `[B, C, H, W]`, from what the levels give for each run of it: `y`
    /// `[B, D]` and its log-determinant.
    fn after_levels(
        &self,
        x: &Tensor,
        of_run: impl Fn(&Tensor, &Tensor) -> Result<Tensor> + Send + Sync,
    ) -> Result<Tensor> {
        let Some(classes) = self.config.classes else {
            return Err(Error::Config(
                "class posteriors need a model with classes".into(),
            ));
        };
        self.check_images(x)?;
        if x.dim(0)? == 0 {
            return Ok(Tensor::zeros((0, classes), x.dtype(), x.device())?);
        }
        let levels = self.levels().frozen(&Run::all(x.dim(0)?))?;
        let of_run = |run: Run| {
            let (y, log_det) = levels.frozen(&run)?.forward(&run.of(x)?)?;
            of_run(&y, &log_det)
        };
        let runs = in_runs(&self.device, x.dim(0)?, RUN_LENGTH, of_run)?;
        Ok(Tensor::cat(&runs, 0)?)
    }

    /// # Errors
    /// If one of its matrices is singular; the error names the parameters.
    pub(crate) fn check_inverse(&self) -> Result<()> {
        let mut parts = self.levels().levels().iter().flat_map(Chain::parts);
        Ok(parts.try_for_each(Part::check_inverse)?)
    }
}

impl<B: Bijection> Glow<B> {
    /// The same model around another flow.
    fn with<C>(&self, flow: Flow<C>) -> Glow<C> {
        Glow {
            config: self.config.clone(),
            flow,
            dequantizer: self.dequantizer.clone(),
            dtype: self.dtype,
            device: self.device.clone(),
        }
    }

    /// Configuration of the model.
    pub fn config(&self) -> &GlowConfig {
        &self.config
    }

    /// The type of its parameters.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The device of its parameters.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The model with latents scaled by `temperature`; see [`Flow::at_temperature`].
    ///
    /// # Errors
    /// If the temperature is negative or not finite.
    pub fn at_temperature(&self, temperature: f64) -> Result<Glow<&B>> {
        Ok(self.with(self.flow.at_temperature(temperature)?))
    }

    /// Shapes of the latents of each level.
    pub fn latent_shapes(&self) -> LatentShapes {
        LatentShapes::new(self.config.image.into(), self.config.levels)
    }

    /// Latents by level, from rows `[B, D]` as [`Flow::encode`] gives them.
    ///
    /// # Errors
    /// If the rows have another size.
    pub fn latents(&self, rows: &Tensor) -> Result<Latents> {
        Ok(Latents(self.latent_shapes().split(rows)?))
    }

    /// The latents that [`sample`](Flow::sample) decodes.
    pub fn draw_latents(&self, count: usize, seed: u64) -> Result<Latents> {
        self.latents(&self.base().sample(count, seed)?)
    }

    /// The x `[B, C, H, W]` of latents; see [`Flow::decode`].
    ///
    /// # Errors
    /// If the latents do not have the model's shapes.
    pub fn decode_latents(&self, latents: &Latents) -> Result<Tensor> {
        Ok(self.decode(&self.latent_shapes().join(&latents.0)?)?)
    }

    /// The u8 images `[B, C, H, W]` of latents; see [`decode_latents`](Self::decode_latents).
    ///
    /// # Errors
    /// As [`decode_latents`](Self::decode_latents), and [`Error::NonFiniteImages`].
    pub fn decode_images(&self, latents: &Latents) -> Result<Tensor> {
        quantize::quantize(&self.config, &self.decode_latents(latents)?)
    }

    /// The latents of u8 images `[B, C, H, W]`, without noise: see [`quantize::center`]. In f64,
    /// [`decode_images`](Self::decode_images) gives back every pixel. In f32, a few pixels of
    /// unusual images can be off by one ([`Checkpoint::in_f64`](crate::Checkpoint::in_f64),
    /// [`quantize::changes`]).
    pub fn encode_images(&self, images: &Tensor) -> Result<Latents> {
        self.check_images(images)?;
        let images = transfer::to_device(images, &self.device)?;
        let x = quantize::center(&self.config, &images, self.dtype)?;
        self.latents(&self.encode(&x)?.0)
    }

    /// `count` draws as u8 images, `[count, C, H, W]`; see [`Flow::sample`].
    ///
    /// # Errors
    /// As [`Flow::sample`], and [`Error::NonFiniteImages`].
    pub fn sample_images(&self, count: usize, seed: u64) -> Result<Tensor> {
        quantize::quantize(&self.config, &self.sample(count, seed)?)
    }

    /// Bits per dimension `[B]` of u8 images `[B, C, H, W]`: an upper bound, by one draw of
    /// dequantisation noise from `seed`.
    pub fn bits_per_dim(&self, images: &Tensor, seed: u64) -> Result<Tensor> {
        let (x, offset) = self.dequantize(images, seed)?;
        let log_likelihood = (self.log_prob(&x)? + offset)?;
        Ok(quantize::bits_per_dim(&self.config, &log_likelihood)?)
    }

    /// x `[B, C, H, W]` in model space of u8 pixels, and ln p(image) − ln p(x) in nats, `[B]`.
    /// `seed` draws the noise; see [`quantize`].
    pub fn dequantize(&self, images: &Tensor, seed: u64) -> Result<(Tensor, Tensor)> {
        let uniform = random::uniform(seed, images.shape(), self.dtype, &self.device)?;
        self.dequantize_by(images, &uniform)
    }

    /// As [`dequantize`](Self::dequantize), with given noise: numbers on [0, 1) in the images'
    /// shape and the model's type, on its device.
    pub fn dequantize_by(&self, images: &Tensor, uniform: &Tensor) -> Result<(Tensor, Tensor)> {
        self.check_images(images)?;
        let images = transfer::to_device(images, &self.device)?;
        let of_run = |run: Run| self.dequantize_with(&run.of(&images)?, &run.of(uniform)?);
        let runs = in_runs(&self.device, images.dim(0)?, RUN_LENGTH, of_run)?;
        let (x, offsets): (Vec<_>, Vec<_>) = runs.into_iter().unzip();
        Ok((Tensor::cat(&x, 0)?, Tensor::cat(&offsets, 0)?))
    }

    /// The noise on [0, 1) with which [`dequantize`](Self::dequantize) fills u8 images.
    pub(crate) fn noise_of(&self, images: &Tensor, seed: u64) -> Result<Tensor> {
        let uniform = random::uniform(seed, images.shape(), self.dtype, &self.device)?;
        Ok(self.noise(images, &uniform)?.0)
    }

    /// Noise on [0, 1) of uniform numbers, and its log-determinant if it is learned.
    fn noise(&self, images: &Tensor, uniform: &Tensor) -> Result<(Tensor, Option<Tensor>)> {
        let Some(dequantizer) = &self.dequantizer else {
            return Ok((uniform.clone(), None));
        };
        let center = quantize::center(&self.config, images, uniform.dtype())?;
        let (noise, log_det) = dequantizer.noise(&center, uniform)?;
        Ok((noise, Some(log_det)))
    }

    /// As [`dequantize_by`](Self::dequantize_by), for one run.
    pub(crate) fn dequantize_with(
        &self,
        images: &Tensor,
        uniform: &Tensor,
    ) -> Result<(Tensor, Tensor)> {
        let (noise, log_det) = self.noise(images, uniform)?;
        let (x, offset) = quantize::dequantize(&self.config, images, &noise)?;
        let offset = match log_det {
            Some(log_det) => (offset + log_det)?,
            None => offset,
        };
        Ok((x, offset))
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
