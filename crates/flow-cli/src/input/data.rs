//! The data sets that commands read.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use flow_data::{Dataset, DatasetName, Error, Split};
use flow_glow::GlowConfig;
use indicatif::HumanCount;

use crate::{cli::DataDirArgs, output::words::plural};

/// The folder of data sets if `--data-dir` is not given.
const DATA_DIR: &str = "data";

/// A data set, and who chose it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Choice {
    /// Named on the command line.
    Named(DatasetName),
    /// Taken from the model, or the default.
    Default(DatasetName),
}

impl Choice {
    /// The data set that was `named`, or the one the model was `trained_on`.
    pub(crate) fn of(named: Option<DatasetName>, trained_on: &str) -> Result<Self> {
        match named {
            Some(name) => Ok(Self::Named(name)),
            None => trained_on.parse().map(Self::Default).with_context(|| {
                format!("the model was trained on `{trained_on}`; name a `--dataset`")
            }),
        }
    }

    /// The data set.
    pub(crate) fn name(self) -> DatasetName {
        match self {
            Self::Named(name) | Self::Default(name) => name,
        }
    }
}

/// Opens splits of a data set, and reports them. Without a named data set, a named folder and files
/// of MNIST, opens the bundled subset of MNIST.
pub(crate) fn open<const N: usize>(
    choice: Choice,
    splits: [Split; N],
    DataDirArgs { data_dir: asked }: &DataDirArgs,
) -> Result<[Dataset; N]> {
    let name = choice.name();
    let data_dir = asked.as_deref().unwrap_or(Path::new(DATA_DIR));
    ensure!(
        data_dir.is_dir() || !data_dir.exists(),
        "`{}` is not a folder; name with `--data-dir` the one in which data sets lie",
        data_dir.display()
    );
    let is_free = matches!(choice, Choice::Default(DatasetName::Mnist)) && asked.is_none();
    match load(splits, |split| Dataset::load(name, split, data_dir)) {
        Ok(datasets) => {
            tracing::info!(
                "{name}: {} in {}",
                counts(splits, &datasets),
                folders(&datasets)
            );
            Ok(datasets)
        }
        Err(Error::Missing { .. }) if is_free && !data_dir.join(name.as_str()).exists() => {
            let datasets =
                load(splits, Dataset::bundled).context("cannot read the bundled images")?;
            tracing::info!(
                "{name}: the bundled {}; the full data set is not in `{}`, `flow fetch mnist` gets it",
                counts(splits, &datasets),
                data_dir.display()
            );
            Ok(datasets)
        }
        Err(error @ (Error::Missing { .. } | Error::Incomplete { .. })) => {
            bail!("{error}; `flow fetch {name}` gets it")
        }
        Err(error) => Err(error).with_context(|| format!("cannot open the data set `{name}`")),
    }
}

/// Checks that a model of this configuration takes the images of `dataset` and their labels.
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

/// Checks that a model of this configuration takes the images of `dataset`, which `option` named.
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

/// The folders of the images, each once.
fn folders(datasets: &[Dataset]) -> String {
    let mut names: Vec<String> = Vec::new();
    for folder in datasets.iter().filter_map(Dataset::folder) {
        let name = format!("`{}`", folder.display());
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(" and ")
}

/// Such as `60,000 train and 10,000 test images`.
fn counts(splits: impl IntoIterator<Item = Split>, datasets: &[Dataset]) -> String {
    let counts = splits
        .into_iter()
        .zip(datasets)
        .map(|(split, dataset)| format!("{} {split}", HumanCount(dataset.len() as u64)))
        .collect::<Vec<_>>();
    let last = datasets.last().map_or(0, Dataset::len);
    format!("{} {}", counts.join(" and "), plural(last, "image"))
}
