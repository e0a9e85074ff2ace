//! Latents that decode to exactly the encoded images.

use crate::{Error, Result};
use candle_core::Tensor;
use flow_core::transfer;
use flow_glow::quantize::{self, Change};
use flow_glow::{Checkpoint, Glow, Latents, finite};

/// Latents of images, and the model that decodes them to exactly these images.
///
/// Single precision brings most images back; those of badly conditioned models need double
/// precision:
///
/// ```
/// # use candle_core::Tensor;
/// # use flow_analysis::{Result, exact::Exact};
/// # use flow_glow::Checkpoint;
/// fn encode<'a>(checkpoint: &'a Checkpoint, images: &Tensor) -> Result<Exact<'a>> {
///     match Exact::in_single(&checkpoint.model, images, None)? {
///         Some(exact) => Ok(exact),
///         None => Exact::in_double(checkpoint, images, None),
///     }
/// }
/// ```
pub struct Exact<'a> {
    model: Model<'a>,
    class: Option<u32>,
    latents: Latents,
    changes: Vec<Change>,
}

enum Model<'a> {
    Single(&'a Glow),
    Double(Box<Glow>),
}

impl<'a> Exact<'a> {
    /// Encodes u8 images `[N, C, H, W]`, as of `class` if the model has classes, by the model as it
    /// is; `None` if some of them do not come back, or have latents that are not finite.
    ///
    /// # Errors
    /// If images or class are not the model's.
    pub fn in_single(model: &'a Glow, images: &Tensor, class: Option<u32>) -> Result<Option<Self>> {
        let mut exact = Self::encode(Model::Single(model), images, class)?;
        if finite::bad_rows(&exact.latents.0)? > 0 {
            return Ok(None);
        }
        exact.changes = exact.compare(images)?;
        Ok(exact.changes.is_empty().then_some(exact))
    }

    /// As [`in_single`](Self::in_single), by the model in double precision, on the CPU. Images that
    /// do not come back even so are in [`changes`](Self::changes).
    ///
    /// # Errors
    /// If images or class are not the model's, or latents are not finite
    /// ([`Error::NonFiniteLatents`]).
    pub fn in_double(
        checkpoint: &'a Checkpoint,
        images: &Tensor,
        class: Option<u32>,
    ) -> Result<Self> {
        let model = Model::Double(Box::new(checkpoint.in_f64()?));
        let mut exact = Self::encode(model, images, class)?;
        let bad = finite::bad_rows(&exact.latents.0)?;
        if bad > 0 {
            let all = images.dim(0)?;
            return Err(Error::NonFiniteLatents { bad, all });
        }
        exact.changes = exact.compare(images)?;
        Ok(exact)
    }

    /// The latents of the images.
    pub fn latents(&self) -> &Latents {
        &self.latents
    }

    /// The images that do not come back exactly.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The u8 images `[N, C, H, W]` of any latents, on the CPU.
    ///
    /// # Errors
    /// If they are not the model's, or an image is not finite.
    pub fn decode(&self, latents: &Latents) -> Result<Tensor> {
        let labels = self.labels(latents.count()?)?;
        let images = self.model().decode_images(latents, labels.as_ref())?;
        Ok(transfer::to_host(&images)?)
    }

    fn encode(model: Model<'a>, images: &Tensor, class: Option<u32>) -> Result<Self> {
        let mut exact = Self {
            model,
            class,
            latents: Latents(Vec::new()),
            changes: Vec::new(),
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
        let model = self.model();
        let labels = self
            .class
            .filter(|_| model.config().classes.is_some())
            .map(|class| Tensor::full(class, count, model.device()));
        Ok(labels.transpose()?)
    }

    fn compare(&self, images: &Tensor) -> Result<Vec<Change>> {
        let returned = self.decode(&self.latents)?;
        Ok(quantize::changes(self.model().config(), images, &returned)?)
    }
}
