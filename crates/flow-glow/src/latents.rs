//! Latents, and the way from images to them.

use crate::model::{Glow, RUN_LENGTH};
use crate::runs::{Run, in_runs};
use crate::{Error, Result, quantize};
use candle_core::Tensor;
use flow_core::transfer;

/// One whitened latent per level, `[B, C, H, W]` each, what the first level splits off first. Under
/// the model every number in them is independent and standard normal.
#[derive(Clone, Debug)]
pub struct Latents(pub Vec<Tensor>);

impl Latents {
    /// How many images there are.
    ///
    /// # Errors
    /// If there is no level.
    pub fn count(&self) -> Result<usize> {
        let first = self.0.first();
        let first = first.ok_or_else(|| Error::Config("latents of no level".into()))?;
        Ok(first.dim(0)?)
    }
}

impl Glow {
    /// The latents of u8 images `[B, C, H, W]`, without noise: see [`quantize::center`]. `labels` are `[B]` in
    /// u32, for a model with classes. [`decode_images`](Self::decode_images) gives the images back, to the
    /// pixel in f64; in f32 a few pixels of unusual images can be off by one
    /// ([`Checkpoint::in_f64`](crate::Checkpoint::in_f64), [`quantize::changes`]).
    pub fn encode_images(&self, images: &Tensor, labels: Option<&Tensor>) -> Result<Latents> {
        self.check_images(images)?;
        let encode = |run: Run| {
            let labels = labels
                .map(|labels| {
                    transfer::to_device(&run.of(labels)?, self.device()).map_err(Error::from)
                })
                .transpose()?;
            let images = transfer::to_device(&run.of(images)?, self.device())?;
            let x = quantize::center(self.config(), &images, self.dtype())?;
            Ok(self.encode(&x, labels.as_ref())?.0)
        };
        let runs = in_runs(self.device(), images.dim(0)?, RUN_LENGTH, encode)?;
        let level = |l: usize| {
            let parts = runs.iter().map(|latents| &latents.0[l]).collect::<Vec<_>>();
            Tensor::cat(&parts, 0)
        };
        let levels = (0..self.config().levels).map(level);
        Ok(Latents(levels.collect::<candle_core::Result<_>>()?))
    }
}
