//! The few images that somebody names.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use candle_core::Tensor;
use flow_data::{Dataset, DatasetName};
use flow_glow::{Checkpoint, GlowConfig};

use crate::tiles;

/// The data set that was asked for, or the one the model was trained on.
pub(crate) fn dataset_name(
    asked: Option<DatasetName>,
    checkpoint: &Checkpoint,
) -> Result<DatasetName> {
    match asked {
        Some(name) => Ok(name),
        None => Ok(checkpoint.header.dataset.parse::<DatasetName>()?),
    }
}

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

/// u8 images `[N, C, H, W]` from PNG files of the model's size, one each.
pub(crate) fn from_files(paths: &[PathBuf], config: &GlowConfig) -> Result<Tensor> {
    let read = |path: &PathBuf| {
        let images = tiles::read(path, config.image)?;
        match images.dim(0)? {
            1 => Ok(images),
            count => bail!(
                "`{}` is as large as {count} of the model's images of {}, and one is needed",
                path.display(),
                config.image
            ),
        }
    };
    let images = paths.iter().map(read).collect::<Result<Vec<_>>>()?;
    Tensor::cat(&images, 0).context("there are no images")
}

/// The one class as which a model with classes takes all images, so that their latents can be compared.
pub(crate) fn common_class(config: &GlowConfig, class: Option<u32>) -> Option<u32> {
    class.or_else(|| config.classes.map(|_| 0))
}
