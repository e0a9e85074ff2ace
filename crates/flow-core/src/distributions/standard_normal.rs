//! The standard normal.

use super::{Distribution, batch};
use crate::{Result, random, shape, standard_normal_log_prob};
use candle_core::{DType, Device, Shape, Tensor};

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
