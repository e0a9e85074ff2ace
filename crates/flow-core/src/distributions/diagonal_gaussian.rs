//! A learned Gaussian.

use super::{Distribution, batch};
use crate::params::{Init, ParamBuilder};
use crate::{Bijection, Result, Whiten, random, shape, standard_normal_log_prob};
use candle_core::{Shape, Tensor};

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
