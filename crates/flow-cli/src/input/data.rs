//! The data sets that commands read.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use flow_data::{
    Dataset, DatasetName, Error, Location, Preparation, Prepared, Split, picture::Color,
};
use flow_glow::{GlowConfig, Header, ImageShape};
use indicatif::HumanCount;

use super::data_record::DataRecord;
use crate::{
    cli::DataDirArgs,
    output::{console::Console, words::plural},
};

/// The folder of data sets if `--data-dir` is not given.
const DATA_DIR: &str = "data";

/// The folder of prepared images in that of data sets.
const CACHE: &str = "cache";

/// A data set, and who chose it.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    location: Location,
    /// It was named on the command line.
    is_named: bool,
    /// The data that the model was trained on.
    record: Option<DataRecord>,
    /// The model that is to take the images.
    config: Option<GlowConfig>,
}

impl Choice {
    /// The data set that was `named`, or the one that the model of a header was trained on.
    pub(crate) fn of(named: Option<&Location>, header: &Header) -> Result<Self> {
        let record = DataRecord::read(&header.data)?;
        let location = match (named, &record) {
            (Some(location), _) => location.clone(),
            (None, Some(record)) => record.location()?,
            (None, None) => Location::Published(header.dataset.parse().with_context(|| {
                format!(
                    "the model was trained on `{}`; name a `--dataset`",
                    header.dataset
                )
            })?),
        };
        Ok(Self {
            location,
            is_named: named.is_some(),
            record,
            config: Some(header.model.clone()),
        })
    }

    /// The data set that was `named`, or MNIST.
    pub(crate) fn without_model(named: Option<&Location>) -> Self {
        let mnist = Location::Published(DatasetName::Mnist);
        Self {
            location: named.cloned().unwrap_or(mnist),
            is_named: named.is_some(),
            record: None,
            config: None,
        }
    }

    /// True if it is the data set that the model was trained on.
    fn is_own(&self) -> Result<bool> {
        let Some(record) = &self.record else {
            return Ok(!self.is_named);
        };
        Ok(!self.is_named || absolute(&self.location)? == record.location()?)
    }

    /// The way that pictures become images for the model. Without training images, all images are
    /// test images where the collection does not say otherwise.
    fn preparation(&self, splits: &[Split]) -> Result<Preparation> {
        let own = self
            .record
            .as_ref()
            .and_then(|record| record.preparation.clone());
        let test_share = if splits.contains(&Split::Train) {
            Preparation::default().test_share
        } else {
            1.0
        };
        if let Some(own) = &own
            && self.is_own()?
        {
            return Ok(own.clone());
        }
        let size = self.record.as_ref().and_then(|record| record.fitting);
        let size = size.map(|fitting| (fitting.height, fitting.width));
        let image = self.config.as_ref().map(|config| config.image);
        Ok(Preparation {
            size: size.or(image.map(|image| (image.height, image.width))),
            color: image.map(color).transpose()?,
            test_share,
            skip_damaged: false,
            ..own.unwrap_or_default()
        })
    }
}

/// The channels of pictures for images of this shape.
pub(crate) fn color(image: ImageShape) -> Result<Color> {
    match image.channels {
        1 => Ok(Color::Grey),
        3 => Ok(Color::Rgb),
        channels => {
            bail!("the model takes images of {channels} channels, and pictures have 1 or 3")
        }
    }
}

/// Opens splits of a data set for a model, and reports them.
///
/// # Errors
/// It is not there, cannot be read, or is not the data that the model was trained on although no
/// other was named.
pub(crate) fn open<const N: usize>(
    choice: &Choice,
    splits: [Split; N],
    args: &DataDirArgs,
    console: &Console,
) -> Result<[Dataset; N]> {
    let data_dir = data_dir(args)?;
    let datasets = match &choice.location {
        Location::Published(name) => published(*name, !choice.is_named, splits, args)?,
        location => {
            let mut preparation = choice.preparation(&splits)?;
            preparation.skip_damaged |= args.skip_damaged;
            let prepared = prepare(location, &preparation, args, data_dir, console)?;
            if let Some(record) = &choice.record
                && !choice.is_named
            {
                record.check(&prepared.train)?;
            }
            let Prepared { train, test, .. } = prepared;
            let datasets = splits.map(|split| match split {
                Split::Train => train.clone(),
                Split::Test => test.clone(),
            });
            report(location, splits, &datasets);
            datasets
        }
    };
    Ok(match &choice.config {
        Some(config) => datasets.map(|dataset| on_canvas(dataset, config.image, config.levels)),
        None => datasets,
    })
}

/// The path of a collection of one's own, or of the hub.
pub(crate) fn collection(location: &Location, data_dir: &Path) -> Result<PathBuf> {
    let path = location
        .path(data_dir)
        .context("a published data set is no collection")?;
    ensure!(
        !matches!(location, Location::Hub(_)) || path.is_dir(),
        "`{}` does not hold `{location}`; `flow fetch {location}` gets it",
        data_dir.display()
    );
    Ok(path)
}

/// The folder of prepared images.
pub(crate) fn cache_dir(args: &DataDirArgs, data_dir: &Path) -> PathBuf {
    let own = args.cache_dir.clone();
    own.unwrap_or_else(|| data_dir.join(CACHE))
}

/// Prepares the pictures at a location.
pub(crate) fn prepare(
    location: &Location,
    preparation: &Preparation,
    args: &DataDirArgs,
    data_dir: &Path,
    console: &Console,
) -> Result<Prepared> {
    let path = collection(location, data_dir)?;
    let cache = cache_dir(args, data_dir);
    let mut progress = console.progress(0.0);
    let mut watch = |done: flow_data::Progress<'_>| {
        let (now, all) = (HumanCount(done.done), HumanCount(done.total));
        let share = done.done as f64 / done.total.max(1) as f64;
        progress.update(share, &format!("preparing {now} of {all} images"));
    };
    let prepared = flow_data::prepare(&location.name(), &path, preparation, &cache, &mut watch);
    drop(progress);
    let prepared = prepared.map_err(|error| {
        let advice = advice(&error);
        anyhow!("{:#}{advice}", anyhow::Error::new(error))
    })?;
    if prepared.damaged > 0 {
        tracing::warn!(
            "{location}: {} cannot be read and {} left out; `flow data {location}` names them",
            HumanCount(prepared.damaged as u64),
            if prepared.damaged == 1 { "is" } else { "are" }
        );
    }
    Ok(prepared)
}

fn advice(error: &Error) -> &'static str {
    match error {
        Error::Damaged { .. } => "; `--skip-damaged` leaves out what cannot be read",
        Error::NoRoom { .. } => "; choose a smaller `--size`, or another disk by `--cache-dir`",
        Error::Write { .. } => "; choose another folder by `--cache-dir`",
        _ => "",
    }
}

/// Opens splits of a published data set, and reports them. Where none was named, nor a folder, and
/// no files of MNIST are there, opens the bundled subset of MNIST.
pub(crate) fn published<const N: usize>(
    name: DatasetName,
    is_default: bool,
    splits: [Split; N],
    args: &DataDirArgs,
) -> Result<[Dataset; N]> {
    let data_dir = data_dir(args)?;
    let is_free = is_default && name == DatasetName::Mnist && args.data_dir.is_none();
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

/// The folder in which data sets lie.
pub(crate) fn data_dir(args: &DataDirArgs) -> Result<&Path> {
    let data_dir = args.data_dir.as_deref().unwrap_or(Path::new(DATA_DIR));
    ensure!(
        data_dir.is_dir() || !data_dir.exists(),
        "`{}` is not a folder; name with `--data-dir` the one in which data sets lie",
        data_dir.display()
    );
    Ok(data_dir)
}

/// Reports the images of prepared splits.
pub(crate) fn report<const N: usize>(
    location: &Location,
    splits: [Split; N],
    datasets: &[Dataset; N],
) {
    let shape = datasets.first().map(Dataset::shape).unwrap_or_default();
    let (c, h, w) = shape;
    tracing::info!("{location}: {} of {c}×{h}×{w}", counts(splits, datasets));
}

/// A place that holds in other working folders, too.
pub(crate) fn absolute(location: &Location) -> Result<Location> {
    Ok(match location {
        Location::Path(path) => Location::Path(std::path::absolute(path)?),
        other => other.clone(),
    })
}

/// Images of the height and width that a model takes, where its levels cannot halve those that
/// they have.
pub(crate) fn on_canvas(dataset: Dataset, image: ImageShape, levels: usize) -> Dataset {
    let (_, height, width) = dataset.shape();
    let wanted = (image.height, image.width);
    if (height, width) == wanted || halvable((height, width), levels) != wanted {
        return dataset;
    }
    tracing::info!(
        "images of {width}×{height} pixels are cut off or filled up to {}×{}, which {levels} levels can halve",
        image.width,
        image.height
    );
    dataset.on_canvas(image.height, image.width)
}

/// The nearest height and width that so many levels can halve. A side that would more than double
/// stays: the model refuses it.
pub(crate) fn halvable((height, width): (usize, usize), levels: usize) -> (usize, usize) {
    let step = 1_usize.checked_shl(levels as u32).unwrap_or(usize::MAX);
    let nearest = |side: usize| match side % step {
        0 => side,
        _ if step / 2 > side => side,
        over if 2 * over >= step || side < step => side + (step - over),
        over => side - over,
    };
    (nearest(height), nearest(width))
}

/// Checks that a model of this header takes the images of `dataset` and their labels.
pub(crate) fn check_fit(header: &Header, dataset: &Dataset) -> Result<()> {
    check_form(&header.model, dataset)?;
    let record = DataRecord::read(&header.data)?;
    let Some(record) = record.filter(|_| header.model.classes.is_some()) else {
        return Ok(());
    };
    ensure!(
        record.classes == dataset.class_names(),
        "the classes of `{}` are {}, and the model knows {}; choose another `--dataset`",
        dataset.name(),
        dataset.class_names().join(", "),
        record.classes.join(", ")
    );
    Ok(())
}

/// Checks that a model of this configuration takes the images of `dataset` and as many classes.
pub(crate) fn check_form(config: &GlowConfig, dataset: &Dataset) -> Result<()> {
    check_shape(config, dataset, "--dataset")?;
    match config.classes {
        Some(_) if dataset.classes() == 0 => bail!(
            "the images of `{}` have no classes, and the model knows some; choose another `--dataset`",
            dataset.name()
        ),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_get_to_the_nearest_that_levels_halve() {
        assert_eq!(halvable((28, 28), 2), (28, 28));
        assert_eq!(halvable((28, 33), 3), (32, 32));
        assert_eq!(halvable((27, 4), 3), (24, 8));
        assert_eq!(halvable((28, 28), 7), (28, 28));
    }
}
