//! Images in latent space that come back to the pixel.

use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use flow_glow::{Checkpoint, Glow, GlowConfig, Latents, quantize};

use crate::tensors;

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
        if single.changes(images)?.is_empty() {
            return Ok(single);
        }
        tracing::info!("single precision does not bring every image back; going on in double");
        let model = Model::Double(Box::new(checkpoint.in_f64()?));
        let double = Self::by(model, images, class, Device::Cpu)?;
        for change in double.changes(images)? {
            tracing::warn!("{change}; `flow verify` says more of the model's inverse");
        }
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

    /// A word on each image that does not come back.
    fn changes(&self, images: &Tensor) -> Result<Vec<String>> {
        let expected = kept(self.model().config(), images)?;
        let returned = self.decode(&self.latents)?;
        let pixels = |images: &Tensor| images.flatten_from(1)?.to_vec2::<u8>();
        let pairs = pixels(&expected)?.into_iter().zip(pixels(&returned)?);
        let mut changes = Vec::new();
        for (i, (expected, returned)) in pairs.enumerate() {
            let differences = expected.iter().zip(&returned);
            let differences = differences.map(|(a, b)| a.abs_diff(*b));
            let changed = differences.clone().filter(|&d| d > 0).count();
            if changed > 0 {
                changes.push(format!(
                    "image {} of {} does not come back exactly: {changed} of {} pixels differ, by up to {} of 255",
                    i + 1,
                    images.dim(0)?,
                    expected.len(),
                    differences.max().unwrap_or(0)
                ));
            }
        }
        Ok(changes)
    }
}

/// What a model of few bits keeps of images.
fn kept(config: &GlowConfig, images: &Tensor) -> Result<Tensor> {
    let x = quantize::center(config, images, DType::F32)?;
    Ok(quantize::quantize(config, &x)?)
}
