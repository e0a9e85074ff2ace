//! Which images a command works on.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use candle_core::{Device, Tensor};
use flow_data::{Batch, Dataset, DatasetName, Error, Split};
use flow_glow::GlowConfig;
use indicatif::HumanCount;

/// Opens splits of a data set: the full one where it was fetched; for MNIST, where there is nothing of
/// it, the subset that is part of this binary. Says which.
pub(crate) fn open<const N: usize>(
    name: DatasetName,
    splits: [Split; N],
    data_dir: &Path,
) -> Result<[Dataset; N]> {
    ensure!(
        data_dir.is_dir() || !data_dir.exists(),
        "`{}` is not a folder; name with `--data-dir` the one in which fetched data sets lie",
        data_dir.display()
    );
    let folder = data_dir.join(name.as_str());
    match load(splits, |split| Dataset::load(name, split, data_dir)) {
        Ok(datasets) => {
            tracing::info!(
                "{name}: {} in `{}`",
                counts(splits, &datasets),
                folder.display()
            );
            Ok(datasets)
        }
        Err(Error::Missing { .. }) if name == DatasetName::Mnist && !folder.exists() => {
            let datasets =
                load(splits, Dataset::bundled).context("cannot read the bundled images")?;
            tracing::info!(
                "{name}: the bundled {}; the full data set is not in `{}`, `cargo xtask fetch-mnist` gets it",
                counts(splits, &datasets),
                folder.display()
            );
            Ok(datasets)
        }
        Err(error) => Err(error).with_context(|| format!("cannot open the data set `{name}`")),
    }
}

/// An error if a model of this configuration does not take the images of `dataset`, or not its labels.
pub(crate) fn check_fit(config: &GlowConfig, dataset: &Dataset) -> Result<()> {
    check_shape(config, dataset, "--dataset")?;
    match config.classes {
        Some(classes) if classes < dataset.classes() => bail!(
            "`{}` has {} classes, the model knows {classes}; choose another `--dataset`",
            dataset.name(),
            dataset.classes()
        ),
        _ => Ok(()),
    }
}

/// An error if a model of this configuration does not take the images of `dataset`, which `option` named.
pub(crate) fn check_shape(config: &GlowConfig, dataset: &Dataset, option: &str) -> Result<()> {
    let (c, h, w) = dataset.shape();
    let image = &config.image;
    if (image.channels, image.height, image.width) != (c, h, w) {
        bail!(
            "the images of `{}` are {c}×{h}×{w}, the model takes {}×{}×{}; choose another `{option}`",
            dataset.name(),
            image.channels,
            image.height,
            image.width
        );
    }
    Ok(())
}

/// The images of a batch, and its labels if the model asks for them, on the device.
pub(crate) fn to_device(
    batch: &Batch,
    config: &GlowConfig,
    device: &Device,
) -> Result<(Tensor, Option<Tensor>)> {
    let labels = match config.classes {
        Some(_) => Some(batch.labels.to_device(device)?),
        None => None,
    };
    Ok((batch.images.to_device(device)?, labels))
}

fn load<const N: usize>(
    splits: [Split; N],
    load: impl Fn(Split) -> flow_data::Result<Dataset>,
) -> flow_data::Result<[Dataset; N]> {
    let datasets = splits
        .into_iter()
        .map(load)
        .collect::<flow_data::Result<Vec<_>>>()?;
    Ok(datasets.try_into().expect("one data set for each split"))
}

/// Such as `60,000 train and 10,000 test images`.
fn counts(splits: impl IntoIterator<Item = Split>, datasets: &[Dataset]) -> String {
    let counts = splits
        .into_iter()
        .zip(datasets)
        .map(|(split, dataset)| format!("{} {split}", HumanCount(dataset.len() as u64)))
        .collect::<Vec<_>>();
    format!("{} images", counts.join(" and "))
}
