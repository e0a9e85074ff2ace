//! Latents of each level, and their distribution under a model.

use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use flow_core::distribution::Distribution;
use flow_core::{LatentShapes, random, standard_normal_log_prob};

/// One whitened latent per level, `[B, C, H, W]` each, first level first. Under the model every
/// number in them is independent and standard normal.
#[derive(Clone, Debug)]
pub struct Latents(pub Vec<Tensor>);

impl Latents {
    /// Number of images.
    ///
    /// # Errors
    /// If the latents have no level.
    pub fn count(&self) -> Result<usize> {
        let first = self.0.first();
        let first = first.ok_or_else(|| Error::Config("the latents have no level".into()))?;
        Ok(first.dim(0)?)
    }
}

/// The standard normal of latents `[B, D]`. Each level is drawn from its own seed.
pub(crate) struct LatentNormal {
    pub(crate) shapes: LatentShapes,
    pub(crate) dtype: DType,
    pub(crate) device: Device,
}

impl Distribution for LatentNormal {
    fn log_prob(&self, z: &Tensor) -> candle_core::Result<Tensor> {
        self.shapes.split(z)?;
        standard_normal_log_prob(z)
    }

    /// Sums are taken level by level.
    fn add_log_prob(&self, log_det: &Tensor, z: &Tensor) -> candle_core::Result<Tensor> {
        let mut latents = self.shapes.split(z)?.into_iter();
        latents.try_fold(log_det.clone(), |sum, latent| {
            sum + standard_normal_log_prob(&latent)?
        })
    }

    fn sample(&self, count: usize, seed: u64) -> candle_core::Result<Tensor> {
        let draw = |(level, [c, h, w]): (usize, [usize; 3])| {
            let seed = random::derive(seed, &format!("latents.{level}"));
            random::normal(seed, (count, c, h, w), self.dtype, &self.device)
        };
        let levels = self.shapes.iter().enumerate().map(draw);
        self.shapes
            .join(&levels.collect::<candle_core::Result<Vec<_>>>()?)
    }
}
