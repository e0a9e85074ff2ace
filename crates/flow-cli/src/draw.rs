//! New images from a model.

use anyhow::Result;
use candle_core::{Device, Tensor};
use flow_glow::Glow;

use crate::measure::batch_seed;

/// Images at once.
const BATCH_SIZE: usize = 100;

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
    let mut batches = Vec::new();
    for (i, start) in (0..count).step_by(BATCH_SIZE).enumerate() {
        let end = count.min(start + BATCH_SIZE);
        let labels = model.config().classes.map(|classes| {
            let in_turn = (start..end).map(|image| (image % classes) as u32);
            in_turn
                .map(|turn| class.unwrap_or(turn))
                .collect::<Vec<_>>()
        });
        let labels = labels
            .map(|labels| Tensor::new(labels, device))
            .transpose()?;
        let seed = batch_seed(seed, i);
        let images = model.sample_images(end - start, labels.as_ref(), temperature, seed)?;
        batches.push(images.to_device(&Device::Cpu)?);
    }
    Ok(Tensor::cat(&batches, 0)?)
}
