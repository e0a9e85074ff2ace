//! Images in latent space that come back to the pixel.

use anyhow::Result;
use candle_core::{Device, Tensor};
use flow_glow::quantize::{self, Change};
use flow_glow::{Checkpoint, Glow, Latents};

use crate::{input::tensors, output::report};

/// Latents of images, and a model that makes of them exactly these images again: in single precision where that
/// is precise enough, in double precision otherwise.
pub(crate) struct Exact<'a> {
    model: Model<'a>,
    device: Device,
    class: Option<u32>,
    /// One for each image.
    pub(crate) latents: Latents,
}

enum Model<'a> {
    Single(&'a Glow),
    Double(Box<Glow>),
}

impl<'a> Exact<'a> {
    /// Encodes u8 images `[N, C, H, W]`, as of `class` if the model has classes. Warns of images that do not come
    /// back even in double precision.
    ///
    /// # Errors
    /// If the latents of an image are not finite even then.
    pub(crate) fn encode(
        checkpoint: &'a Checkpoint,
        images: &Tensor,
        class: Option<u32>,
        device: &Device,
    ) -> Result<Self> {
        let single = Self::by(
            Model::Single(&checkpoint.model),
            images,
            class,
            device.clone(),
        )?;
        if tensors::non_finite(&single.latents.0)? == 0 && single.changes(images)?.is_empty() {
            return Ok(single);
        }
        let model = Model::Double(Box::new(in_double(checkpoint)?));
        let double = Self::by(model, images, class, Device::Cpu)?;
        let bad = tensors::non_finite(&double.latents.0)?;
        report::ensure_finite(bad, images.dim(0)?, "images have no finite latents")?;
        warn(&double.changes(images)?, images)?;
        Ok(double)
    }

    /// The u8 images `[N, C, H, W]` of latents, on the CPU.
    pub(crate) fn decode(&self, latents: &Latents) -> Result<Tensor> {
        let labels = self.labels(latents.count()?)?;
        let images = self.model().decode_images(latents, labels.as_ref())?;
        Ok(images.to_device(&Device::Cpu)?)
    }

    fn by(model: Model<'a>, images: &Tensor, class: Option<u32>, device: Device) -> Result<Self> {
        let mut exact = Self {
            model,
            device,
            class,
            latents: Latents(Vec::new()),
        };
        let labels = exact.labels(images.dim(0)?)?;
        exact.latents = exact.model().encode_images(images, labels.as_ref())?;
        Ok(exact)
    }

    fn model(&self) -> &Glow {
        match &self.model {
            Model::Single(model) => model,
            Model::Double(model) => model,
        }
    }

    fn labels(&self, count: usize) -> Result<Option<Tensor>> {
        let labels = tensors::labels(self.model().config(), self.class, count)?;
        let labels = labels.map(|labels| labels.to_device(&self.device));
        Ok(labels.transpose()?)
    }

    fn changes(&self, images: &Tensor) -> Result<Vec<Change>> {
        let returned = self.decode(&self.latents)?;
        Ok(quantize::changes(self.model().config(), images, &returned)?)
    }
}

/// The model in double precision, for images that single precision does not bring back.
pub(crate) fn in_double(checkpoint: &Checkpoint) -> Result<Glow> {
    tracing::info!("single precision does not bring every image back; going on in double");
    Ok(checkpoint.in_f64()?)
}

/// Warns of each of the `images` `[N, C, H, W]` that does not come back in double precision either.
pub(crate) fn warn(changes: &[Change], images: &Tensor) -> Result<()> {
    let (count, channels, height, width) = images.dims4()?;
    let pixels = channels * height * width;
    for change in changes {
        tracing::warn!(
            "image {} of {count} does not come back exactly: {} of {pixels} pixels differ, by up to {} of 255; \
             `flow verify` says more of the model's inverse",
            change.image + 1,
            change.pixels,
            change.largest
        );
    }
    Ok(())
}
