//! New images from a model.

use anyhow::{Result, anyhow};
use candle_core::{Device, Tensor};
use flow_glow::{Error, Glow};

/// Draws u8 images `[count, C, H, W]`: of one class, or of each in turn if `class` is `None` and
/// the model has classes.
pub(crate) fn images(
    model: &Glow,
    count: usize,
    class: Option<u32>,
    temperature: f64,
    seed: u64,
    device: &Device,
) -> Result<Tensor> {
    let labels = labels(model, count, class, device)?;
    let images = model.sample_images(count, labels.as_ref(), temperature, seed)?;
    Ok(images.to_device(&Device::Cpu)?)
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

/// The classes of these images, `[count]` in u32, if the model has any.
pub(crate) fn labels(
    model: &Glow,
    count: usize,
    class: Option<u32>,
    device: &Device,
) -> Result<Option<Tensor>> {
    let labels = model.config().classes.map(|classes| {
        let in_turn = (0..count).map(|image| (image % classes) as u32);
        let labels = in_turn.map(|turn| class.unwrap_or(turn));
        Tensor::from_iter(labels, device)
    });
    Ok(labels.transpose()?)
}
