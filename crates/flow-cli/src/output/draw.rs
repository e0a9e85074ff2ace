//! New images from a model.

use anyhow::{Result, anyhow};
use candle_core::{Device, Tensor};
use flow_core::Bijection;
use flow_glow::{Error, Glow, GlowConfig};

/// Draws u8 images `[count, C, H, W]`, on the CPU.
pub(crate) fn images<B: Bijection>(
    model: &Glow<B>,
    count: usize,
    temperature: f64,
    seed: u64,
) -> Result<Tensor> {
    let model = model.at_temperature(temperature)?;
    Ok(model.sample_images(count, seed)?.to_device(&Device::Cpu)?)
}

/// Adds advice to the error of images that were drawn at `temperature` and are not finite.
pub(crate) fn at_temperature<T>(drawn: Result<T>, temperature: f64) -> Result<T> {
    drawn.map_err(|error| match error.downcast_ref() {
        Some(Error::NonFiniteImages { bad, all }) => anyhow!(
            "{bad} of {all} samples are not finite at temperature {temperature}; take a lower `--temperature`, or \
             see what `flow verify` says of the model"
        ),
        _ => error,
    })
}

/// Conditions of images to draw, if the model takes any: a row for each, by their name in a file of
/// tensors.
pub(crate) struct Conditions(Option<(&'static str, Tensor)>);

impl Conditions {
    /// `class` for all of `count` images, or each in turn, if the model has classes.
    pub(crate) fn of_classes(
        config: &GlowConfig,
        count: usize,
        class: Option<u32>,
    ) -> Result<Self> {
        let labels = config.classes.map(|classes| {
            let in_turn = (0..count).map(|image| (image % classes) as u32);
            let labels = in_turn.map(|turn| class.unwrap_or(turn));
            Tensor::from_iter(labels, &Device::Cpu)
        });
        Ok(Self(labels.transpose()?.map(|labels| ("labels", labels))))
    }

    /// Numbers `[count, K]`.
    pub(crate) fn of_numbers(numbers: Tensor) -> Self {
        Self(Some(("condition", numbers)))
    }

    /// The model under these conditions.
    pub(crate) fn of<'a>(&self, model: &'a Glow) -> Result<Glow<Box<dyn Bijection + 'a>>> {
        match &self.0 {
            Some((_, conditions)) => Ok(model.given(conditions)?),
            None => Ok(model.unconditional()),
        }
    }

    /// The conditions `times` times, as a tensor of a file.
    pub(crate) fn named(&self, times: usize) -> Result<Option<(String, Tensor)>> {
        let Some((name, conditions)) = &self.0 else {
            return Ok(None);
        };
        let repeated = Tensor::cat(&vec![conditions; times], 0)?;
        Ok(Some(((*name).to_owned(), repeated)))
    }
}
