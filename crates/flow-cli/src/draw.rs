//! New images from a model.

use anyhow::Result;
use candle_core::{Device, Tensor};
use flow_glow::Glow;

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
