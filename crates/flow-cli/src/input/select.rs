//! Images that options select.

use anyhow::{Result, bail};
use candle_core::Tensor;
use flow_core::train::Data;
use flow_data::Dataset;
use flow_glow::GlowConfig;

/// u8 images `[N, C, H, W]` of a data set by their places.
pub(crate) fn by_index(dataset: &Dataset, indices: &[usize]) -> Result<Tensor> {
    if let Some(index) = indices.iter().find(|&&index| index >= dataset.len()) {
        bail!(
            "there is no image {index}: `{}` has {} here, counted from 0",
            dataset.name(),
            dataset.len()
        );
    }
    Ok(dataset.batch(indices)?.images)
}

/// Images as of the one class as which a model with classes takes them all, so that their latents
/// can be compared: `class` or the first.
pub(crate) fn of_common_class(
    images: &Tensor,
    config: &GlowConfig,
    class: Option<u32>,
) -> Result<Data> {
    if config.classes.is_none() {
        return Ok(images.into());
    }
    let label = Tensor::new(&[class.unwrap_or(0)], images.device())?;
    Ok((images, &label).into())
}
