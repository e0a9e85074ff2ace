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
    let labels = model.config().classes.map(|classes| {
        let in_turn = (0..count).map(|image| (image % classes) as u32);
        let labels = in_turn.map(|turn| class.unwrap_or(turn));
        Tensor::from_iter(labels, device)
    });
    let images = model.sample_images(count, labels.transpose()?.as_ref(), temperature, seed)?;
    Ok(images.to_device(&Device::Cpu)?)
}
