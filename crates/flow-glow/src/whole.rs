//! A whole model as one bijection.

use crate::model::{Glow, Latents};
use candle_core::{Error, Result, Tensor};
use flow_core::Bijection;

/// x `[B, C, H, W]` in model space → all its latents in one row, `[B, D]`: [`Glow::encode`] and
/// [`Glow::decode`] for what works with any bijection, such as [`flow_core::check`].
pub struct Whole<'a> {
    glow: &'a Glow,
    labels: Option<Tensor>,
}

impl Glow {
    /// The model of these labels as one bijection. `labels` are u32, one for all samples `[1]` or one for
    /// each, `[N]`, of which a smaller batch takes the first ones; `None` if the model has no classes.
    pub fn given(&self, labels: Option<&Tensor>) -> Whole<'_> {
        Whole {
            glow: self,
            labels: labels.cloned(),
        }
    }
}

impl Whole<'_> {
    fn labels(&self, batch: usize) -> Result<Option<Tensor>> {
        let Some(labels) = &self.labels else {
            return Ok(None);
        };
        let same_for_all = labels.dim(0)? == 1;
        Ok(Some(if same_for_all {
            labels.broadcast_as(batch)?.contiguous()?
        } else {
            labels.narrow(0, 0, batch)?
        }))
    }
}

impl Bijection for Whole<'_> {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let labels = self.labels(x.dim(0)?)?;
        let (latents, log_det) = self.glow.encode(x, labels.as_ref()).map_err(Error::wrap)?;
        let rows = latents.0.iter().map(|latent| latent.flatten_from(1));
        Ok((Tensor::cat(&rows.collect::<Result<Vec<_>>>()?, 1)?, log_det))
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        let (batch, mut start) = (y.dim(0)?, 0);
        let latents = self.glow.latent_shapes().map(|shape| {
            let part = y.narrow(1, start, shape.dimensions())?;
            start += shape.dimensions();
            part.reshape((batch, shape.channels, shape.height, shape.width))
        });
        let latents = Latents(latents.collect::<Result<_>>()?);
        self.glow
            .decode(&latents, self.labels(batch)?.as_ref())
            .map_err(Error::wrap)
    }
}
