//! Uniform distributions, with the same bounds for every number.

use super::{Distribution, batch};
use crate::{Result, random, shape, transfer};
use candle_core::{DType, Device, Shape, Tensor, bail};

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
        constant_inside(&outside, density)
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

/// `density` where none of a sample's numbers is `outside`, `[B]`, and −∞ elsewhere.
pub(super) fn constant_inside(outside: &Tensor, density: f64) -> Result<Tensor> {
    let full = |value: f64| {
        Tensor::full(value, outside.dim(0)?, outside.device())?.to_dtype(outside.dtype())
    };
    outside
        .gt(0.0)?
        .where_cond(&full(f64::NEG_INFINITY)?, &full(density)?)
}
