//! Base distributions: the source of a flow's samples, and the density of its latents.

use crate::params::{Init, ParamBuilder};
use crate::{Bijection, Result, Whiten, random, shape, standard_normal_log_prob, transfer};
use candle_core::{D, DType, Device, Shape, Tensor, bail};
use std::sync::Arc;

/// A distribution of tensors `[B, …]` of one shape.
pub trait Distribution: Send + Sync {
    /// ln of the density at each sample of `z`, `[B]`, in nats; −∞ outside the support.
    fn log_prob(&self, z: &Tensor) -> Result<Tensor>;

    /// `log_det` + ln p(z), `[B]`. A distribution of several parts adds them one after the other.
    fn add_log_prob(&self, log_det: &Tensor, z: &Tensor) -> Result<Tensor> {
        self.log_prob(z)? + log_det
    }

    /// `count` independent draws, the same for the same `seed`.
    fn sample(&self, count: usize, seed: u64) -> Result<Tensor>;
}

/// A distribution with scaled draws: a standard normal at temperature T is N(0, T²).
pub(crate) struct Tempered {
    base: Arc<dyn Distribution>,
    temperature: f64,
}

impl Tempered {
    /// # Errors
    /// If the temperature is negative or not finite.
    pub(crate) fn new(base: Arc<dyn Distribution>, temperature: f64) -> Result<Self> {
        if !(temperature >= 0.0 && temperature.is_finite()) {
            bail!("a temperature must be 0 or more and finite, not {temperature}");
        }
        Ok(Self { base, temperature })
    }
}

impl Distribution for Tempered {
    /// # Errors
    /// At temperature 0 all draws are one point.
    fn log_prob(&self, z: &Tensor) -> Result<Tensor> {
        if self.temperature == 0.0 {
            bail!("at a temperature of 0 all draws are the same, and have no density");
        }
        let dimensions = z.dims()[1..].iter().product::<usize>() as f64;
        self.base.log_prob(&(z / self.temperature)?)? - dimensions * self.temperature.ln()
    }

    fn sample(&self, count: usize, seed: u64) -> Result<Tensor> {
        self.base.sample(count, seed)? * self.temperature
    }
}

/// N(0, 1) in every number.
pub struct StandardNormal {
    shape: Shape,
    dtype: DType,
    device: Device,
}

impl StandardNormal {
    /// The distribution of samples of the given `shape`, without the batch.
    pub fn new(shape: impl Into<Shape>, dtype: DType, device: &Device) -> Self {
        Self {
            shape: shape.into(),
            dtype,
            device: device.clone(),
        }
    }
}

impl Distribution for StandardNormal {
    fn log_prob(&self, z: &Tensor) -> Result<Tensor> {
        shape::samples("standard normal", z, self.shape.dims())?;
        standard_normal_log_prob(z)
    }

    fn sample(&self, count: usize, seed: u64) -> Result<Tensor> {
        random::normal(
            seed,
            batch(count, self.shape.dims()),
            self.dtype,
            &self.device,
        )
    }
}

/// N(mean, exp(log_std)²) in every number, independently; both are learned.
pub struct DiagonalGaussian {
    mean: Tensor,
    log_std: Tensor,
}

impl DiagonalGaussian {
    /// The distribution of samples of the given `shape`; starts as the standard normal. Parameters
    /// `mean` and `log_std`, `[1, …]`.
    pub fn new(shape: impl Into<Shape>, params: ParamBuilder) -> Result<Self> {
        let shape = batch(1, shape.into().dims());
        Ok(Self {
            mean: params.get_with_hints(shape.as_slice(), "mean", Init::Zeros)?,
            log_std: params.get_with_hints(shape.as_slice(), "log_std", Init::Zeros)?,
        })
    }

    fn whiten(&self) -> Whiten {
        Whiten::new(self.mean.clone(), self.log_std.clone())
    }
}

impl Distribution for DiagonalGaussian {
    fn log_prob(&self, z: &Tensor) -> Result<Tensor> {
        shape::samples("diagonal gaussian", z, &self.mean.dims()[1..])?;
        let (white, log_det) = self.whiten().forward(z)?;
        standard_normal_log_prob(&white)? + log_det
    }

    /// Differentiable in mean and standard deviation.
    fn sample(&self, count: usize, seed: u64) -> Result<Tensor> {
        let shape = batch(count, &self.mean.dims()[1..]);
        let noise = random::normal(seed, shape, self.mean.dtype(), self.mean.device())?;
        self.whiten().inverse(&noise)
    }
}

/// Uniform on [low, high] in every number, both ends included as rounded to the type.
pub struct Uniform {
    low: f64,
    high: f64,
    shape: Shape,
    dtype: DType,
    device: Device,
}

impl Uniform {
    /// The distribution of samples of the given `shape`, without the batch.
    ///
    /// # Errors
    /// If `low` is not below `high` after rounding to the type.
    pub fn new(
        low: f64,
        high: f64,
        shape: impl Into<Shape>,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let ends = Tensor::new(&[low, high], &Device::Cpu)?.to_dtype(dtype)?;
        let ends = transfer::numbers(&ends)?;
        if !(ends[0] < ends[1] && (ends[1] - ends[0]).is_finite()) {
            bail!("uniform: {low} is not below {high} in {dtype:?}");
        }
        Ok(Self {
            low,
            high,
            shape: shape.into(),
            dtype,
            device: device.clone(),
        })
    }
}

impl Distribution for Uniform {
    fn log_prob(&self, z: &Tensor) -> Result<Tensor> {
        let batch = shape::samples("uniform", z, self.shape.dims())?;
        // Comparisons round the bounds to the type of z, so numbers that round to an end are
        // inside.
        let outside = (z.lt(self.low)? + z.gt(self.high)?)?;
        let strange = z.ne(z)?;
        let outside = (outside + strange)?.to_dtype(z.dtype())?;
        let outside = outside.reshape((batch, self.shape.elem_count()))?.sum(1)?;
        let density = -(self.high - self.low).ln() * self.shape.elem_count() as f64;
        let full = |value: f64| Tensor::full(value, batch, z.device())?.to_dtype(z.dtype());
        outside
            .gt(0.0)?
            .where_cond(&full(f64::NEG_INFINITY)?, &full(density)?)
    }

    fn sample(&self, count: usize, seed: u64) -> Result<Tensor> {
        random::uniform(
            seed,
            batch(count, self.shape.dims()),
            self.dtype,
            &self.device,
        )?
        .affine(self.high - self.low, self.low)?
        .clamp(self.low, self.high)
    }
}

/// A learned mixture of K Gaussians of vectors `[B, D]`, each with its own means and standard
/// deviations.
pub struct GaussianMixture {
    logits: Tensor,
    means: Tensor,
    log_stds: Tensor,
}

impl GaussianMixture {
    /// A mixture for vectors of `features` numbers. Parameters `logits`, `[K]`, zero at first,
    /// `means`, `[K, D]`, drawn from N(0, 1), and `log_stds`, `[K, D]`, zero at first.
    ///
    /// # Errors
    /// If `components` is 0.
    pub fn new(components: usize, features: usize, params: ParamBuilder) -> Result<Self> {
        if components == 0 {
            bail!("mixture: needs at least one component");
        }
        let (shape, drawn) = ((components, features), Init::Normal { std: 1.0 });
        Ok(Self {
            logits: params.get_with_hints(components, "logits", Init::Zeros)?,
            means: params.get_with_hints(shape, "means", drawn)?,
            log_stds: params.get_with_hints(shape, "log_stds", Init::Zeros)?,
        })
    }
}

impl Distribution for GaussianMixture {
    fn log_prob(&self, z: &Tensor) -> Result<Tensor> {
        let (components, features) = self.means.dims2()?;
        let batch = shape::vectors("gaussian mixture", z, features)?;
        if batch == 0 {
            return Tensor::zeros(0, z.dtype(), z.device());
        }
        let mut joint = Vec::with_capacity(components);
        for component in 0..components {
            let of = |tensor: &Tensor| tensor.narrow(0, component, 1);
            let (white, log_det) = Whiten::new(of(&self.means)?, of(&self.log_stds)?).forward(z)?;
            joint.push((standard_normal_log_prob(&white)? + log_det)?);
        }
        let joint = Tensor::stack(&joint, 1)?.broadcast_add(&self.logits)?;
        log_sum_exp(&joint)? - log_sum_exp(&self.logits)?.broadcast_as(batch)?
    }

    /// Differentiable with respect to means and standard deviations, but not to the logits.
    fn sample(&self, count: usize, seed: u64) -> Result<Tensor> {
        let features = self.means.dim(1)?;
        let (dtype, device) = (self.means.dtype(), self.means.device());
        let weights = candle_nn::ops::softmax(&self.logits.detach(), 0)?;
        let weights = transfer::numbers(&weights)?;
        let draws = random::uniform_numbers::<f64>(random::derive(seed, "component"), count);
        let chosen = draws.into_iter().map(|draw| {
            let mut below = 0.0;
            let passed = weights.iter().take_while(|weight| {
                below += **weight;
                below <= draw
            });
            (passed.count() as u32).min(weights.len() as u32 - 1)
        });
        let chosen = transfer::upload(chosen.collect(), count, DType::U32, device)?;
        let noise = random::normal(
            random::derive(seed, "noise"),
            (count, features),
            dtype,
            device,
        )?;
        let of = |tensor: &Tensor| tensor.index_select(&chosen, 0);
        Whiten::new(of(&self.means)?, of(&self.log_stds)?).inverse(&noise)
    }
}

/// ln Σ eˣ over the last dimension: −∞, with a gradient of 0, where all x are −∞.
pub fn log_sum_exp(x: &Tensor) -> Result<Tensor> {
    let largest = x.detach().max_keepdim(D::Minus1)?;
    let finite = largest.abs()?.lt(f64::INFINITY)?;
    let largest = finite.where_cond(&largest, &largest.zeros_like()?)?;
    let sum = x.broadcast_sub(&largest)?.exp()?.sum_keepdim(D::Minus1)?;
    let is_zero = sum.eq(0.0)?;
    // The gradient of ln 0 would be infinite.
    let log = is_zero.where_cond(&sum.ones_like()?, &sum)?.log()?;
    let log = is_zero.where_cond(&log.affine(0.0, f64::NEG_INFINITY)?, &log)?;
    (log + largest)?.squeeze(D::Minus1)
}

/// The shape of `count` samples of the given shape.
fn batch(count: usize, sample: &[usize]) -> Vec<usize> {
    [&[count], sample].concat()
}
