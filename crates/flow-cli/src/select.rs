//! The few images that somebody names, and what became of them.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use candle_core::Tensor;
use flow_data::{Dataset, DatasetName};
use flow_glow::{Checkpoint, GlowConfig, quantize};

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

/// Warns of images that did not come back from latent space to the pixel. Both are u8, `[N, C, H, W]`.
pub(crate) fn tell_of_changes(
    config: &GlowConfig,
    images: &Tensor,
    returned: &Tensor,
) -> Result<()> {
    let kept = quantize::quantize(
        config,
        &quantize::center(config, images, candle_core::DType::F32)?,
    )?;
    let pixels = |images: &Tensor| images.flatten_from(1)?.to_vec2::<u8>();
    for (i, (image, returned)) in pixels(&kept)?.iter().zip(pixels(returned)?).enumerate() {
        let differences = image.iter().zip(&returned).map(|(a, b)| a.abs_diff(*b));
        let changed = differences.clone().filter(|&d| d > 0).count();
        if changed > 0 {
            tracing::warn!(
                "image {} of {} does not come back exactly: {changed} of {} pixels differ, by up to {} of 255; \
                 `flow verify` says more of the model's inverse",
                i + 1,
                kept.dim(0)?,
                image.len(),
                differences.max().unwrap_or(0)
            );
        }
    }
    Ok(())
}
