//! Latents that decode to exactly the encoded images.

use crate::{
    Error, Result,
    latent_space::{Direction, Path},
};
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

    /// Images between each image of the first half and its partner in the second, at `times` from 0
    /// to 1: `[pairs · times, C, H, W]`, pair by pair.
    ///
    /// # Errors
    /// If the number of images is odd, or an image is not finite.
    pub fn mixed(&self, path: Path, times: &[f64]) -> Result<Tensor> {
        let count = self.latents.count()?;
        if !count.is_multiple_of(2) {
            let reason = format!("{count} images are not pairs");
            return Err(Error::Input(reason));
        }
        let half = |start: usize| {
            let levels = self.latents.0.iter();
            let levels = levels.map(|z| z.narrow(0, start, count / 2));
            levels.collect::<candle_core::Result<_>>().map(Latents)
        };
        self.decode(&path.at(&half(0)?, &half(count / 2)?, times)?)
    }

    /// The images `[N, C, H, W]` moved along directions, each by an amount.
    ///
    /// # Errors
    /// If a direction is of another model, or an image is not finite.
    pub fn changed<'d>(
        &self,
        changes: impl IntoIterator<Item = (&'d Direction, f64)>,
    ) -> Result<Tensor> {
        let mut changes = changes.into_iter();
        let latents = changes.try_fold(self.latents.clone(), |latents, (direction, amount)| {
            direction.applied(&latents, amount)
        })?;
        self.decode(&latents)
    }

    /// `draws` images for each image, `[N · draws, C, H, W]`: the latents of `levels`, counted from
    /// 0, are drawn anew from `seed` at a temperature, the others are the image's own.
    ///
    /// # Errors
    /// If there is no such level, the temperature is negative, or an image is not finite.
    pub fn redrawn(
        &self,
        levels: &[usize],
        draws: usize,
        temperature: f64,
        seed: u64,
    ) -> Result<Tensor> {
        let known = self.latents.0.len();
        if let Some(level) = levels.iter().find(|&&level| level >= known) {
            let reason = format!("there is no level {level}: the model has {known}, from 0");
            return Err(Error::Input(reason));
        }
        let count = self.latents.count()? * draws;
        let model = self.given()?;
        let drawn = model
            .at_temperature(temperature)?
            .draw_latents(count, seed)?;
        let own = self.latents.0.iter().zip(drawn.0).enumerate();
        let latents = own.map(|(level, (own, drawn))| {
            if levels.contains(&level) {
                return Ok(drawn);
            }
            let (n, c, h, w) = own.dims4()?;
            let own = own.unsqueeze(1)?.broadcast_as((n, draws, c, h, w))?;
            own.reshape((n * draws, c, h, w))
        });
        self.decode(&Latents(latents.collect::<candle_core::Result<_>>()?))
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
