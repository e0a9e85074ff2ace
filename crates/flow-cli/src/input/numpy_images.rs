//! Images in NumPy's files.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result, ensure};
use candle_core::{Device, Tensor};
use flow_data::collection::{Class, Collection, Sources, Stored};

use crate::input::image_files;

/// u8 images `x` `[N, C, H, W]` of a `.npy` or `.npz` with the names and axes that data sets have,
/// and their `labels` `[N]`, if the file has some.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, Tensor>> {
    let collection = Sources::find(path)?.open()?;
    let mut tensors = BTreeMap::new();
    let images = images(&collection).with_context(|| format!("cannot use `{}`", path.display()))?;
    tensors.insert("x".to_owned(), images);
    if let Some(labels) = labels(&collection) {
        let labels = Tensor::from_vec(labels, collection.entries.len(), &Device::Cpu)?;
        tensors.insert("labels".to_owned(), labels);
    }
    Ok(tensors)
}

fn images(collection: &Collection) -> Result<Tensor> {
    let (mut shape, mut pixels) = (None, Vec::new());
    for stored in collection.pictures()? {
        let Stored::Pixels(picture) = stored? else {
            continue;
        };
        let fitting = image_files::unscaled(&picture, None);
        let found = fitting.shape();
        ensure!(
            *shape.get_or_insert(found) == found,
            "it holds images of several shapes"
        );
        pixels.extend(fitting.apply(picture)?);
    }
    let (channels, height, width) = shape.context("it holds no images")?;
    let shape = (collection.entries.len(), channels, height, width);
    Ok(Tensor::from_vec(pixels, shape, &Device::Cpu)?)
}

/// The class of each image, if all have one.
fn labels(collection: &Collection) -> Option<Vec<u32>> {
    let entries = collection.entries.iter();
    let labels = entries.map(|entry| match entry.class {
        Some(Class::Number(class)) => Some(class),
        _ => None,
    });
    labels.collect()
}
