//! Images that options select.

use anyhow::{Result, bail};
use candle_core::Tensor;
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

/// The class as which a model with classes encodes all images, so that their latents are
/// comparable.
pub(crate) fn common_class(config: &GlowConfig, class: Option<u32>) -> Option<u32> {
    class.or_else(|| config.classes.map(|_| 0))
}
