//! Latents that decode to exactly the encoded images.

use crate::{Error, Result};
use candle_core::Tensor;
use flow_core::{Bijection, train::Data, transfer};
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
///     match Exact::in_single(&checkpoint.model, images)? {
///         Some(exact) => Ok(exact),
///         None => Exact::in_double(checkpoint, images),
///     }
/// }
/// ```
pub struct Exact<'a> {
    model: Model<'a>,
    data: Data,
    latents: Latents,
    changes: Vec<Change>,
}

enum Model<'a> {
    Single(&'a Glow),
    Double(Box<Glow>),
}

impl<'a> Exact<'a> {
    /// Encodes u8 images `[N, C, H, W]` by the model as it is, under one condition if it takes any.
    /// `None` if an image does not come back, or has latents that are not finite.
    ///
    /// # Errors
    /// If images or condition are not the model's.
    pub fn in_single(model: &'a Glow, data: impl Into<Data>) -> Result<Option<Self>> {
        let exact = Self::encode(Model::Single(model), data.into())?;
        if finite::bad_rows(&exact.latents.0)? > 0 {
            return Ok(None);
        }
        let exact = exact.compared()?;
        Ok(exact.changes.is_empty().then_some(exact))
    }

    /// As [`in_single`](Self::in_single), by the model in double precision, on the CPU. Images that
    /// do not come back even so are in [`changes`](Self::changes).
    ///
    /// # Errors
    /// If images or condition are not the model's, or latents are not finite
    /// ([`Error::NonFiniteLatents`]).
    pub fn in_double(checkpoint: &'a Checkpoint, data: impl Into<Data>) -> Result<Self> {
        let model = Model::Double(Box::new(checkpoint.in_f64()?));
        let exact = Self::encode(model, data.into())?;
        let bad = finite::bad_rows(&exact.latents.0)?;
        if bad > 0 {
            let all = exact.latents.count()?;
            return Err(Error::NonFiniteLatents { bad, all });
        }
        exact.compared()
    }

    /// The latents of the images.
    pub fn latents(&self) -> &Latents {
        &self.latents
    }

    /// The images that do not come back exactly.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The u8 images `[N, C, H, W]` of any latents under the same condition, on the CPU.
    ///
    /// # Errors
    /// If they are not the model's, or an image is not finite.
    pub fn decode(&self, latents: &Latents) -> Result<Tensor> {
        Ok(transfer::to_host(&self.given()?.decode_images(latents)?)?)
    }

    fn encode(model: Model<'a>, data: Data) -> Result<Self> {
        let mut exact = Self {
            model,
            data,
            latents: Latents(Vec::new()),
            changes: Vec::new(),
        };
        let latents = exact.given()?.encode_images(exact.data.samples())?;
        exact.latents = latents;
        Ok(exact)
    }

    fn model(&self) -> &Glow {
        match &self.model {
            Model::Single(model) => model,
            Model::Double(model) => model,
        }
    }

    fn given(&self) -> Result<Glow<Box<dyn Bijection + '_>>> {
        Ok(self.model().conditioned_on(&self.data)?)
    }

    /// With the images that do not come back.
    fn compared(mut self) -> Result<Self> {
        let returned = self.decode(&self.latents)?;
        self.changes = quantize::changes(self.model().config(), self.data.samples(), &returned)?;
        Ok(self)
    }
}
