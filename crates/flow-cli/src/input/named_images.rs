//! Images with names: a data set, or image files.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use candle_core::{Device, Tensor};
use flow_analysis::outliers::{Noise, Observation, observe_images};
use flow_data::Split;
use flow_glow::{Glow, GlowConfig, ranks::Ranks};
use indicatif::HumanCount;

use crate::{
    cli::DataDirArgs,
    input::{
        classes,
        data::{self, Choice},
        image_files::{Found, PictureReader},
        tensors,
    },
    output::{
        console::{Console, Progress},
        words::count,
    },
};

/// Images with names.
pub(crate) struct NamedImages {
    /// The name of the collection.
    pub(crate) name: String,
    /// u8 `[N, C, H, W]`, on the CPU.
    pub(crate) images: Tensor,
    /// The name of each image: its number in the split, or its file.
    pub(crate) ids: Vec<String>,
    /// The class of each, if known.
    pub(crate) labels: Option<Vec<u32>>,
    /// The names of classes, where they tell more than numbers.
    pub(crate) classes: Vec<String>,
    /// The number of files that could not be read.
    unread: usize,
    /// The dequantization noise of each, drawn from a seed.
    noise: fn(u64) -> Noise,
}

impl NamedImages {
    /// Opens a split of a data set, evenly thinned out to `limit` images; `option` named it.
    pub(crate) fn of_dataset(
        (choice, option): (&Choice, &str),
        split: Split,
        limit: Option<usize>,
        config: &GlowConfig,
        data_dir: &DataDirArgs,
        console: &Console,
    ) -> Result<Self> {
        let [mut dataset] = data::open(choice, [split], data_dir, console)?;
        data::check_shape(config, &dataset, option)?;
        let places = dataset.thin_out(limit.unwrap_or(usize::MAX));
        let batch = dataset.all()?;
        Ok(Self {
            name: format!("{} {split}", dataset.name()),
            images: batch.images,
            ids: places.iter().map(ToString::to_string).collect(),
            labels: Some(batch.labels.to_vec1()?),
            classes: classes::telling(dataset.class_names()).to_vec(),
            unread: 0,
            noise: Noise::OfBatch,
        })
    }

    /// Reads image files, and those in folders; warns of those that cannot be read.
    pub(crate) fn of_files(paths: &[PathBuf], reader: &PictureReader) -> Result<Self> {
        let Found {
            files,
            images,
            unread,
        } = reader.find(paths)?;
        Ok(Self {
            name: count(files.len(), "image file"),
            images,
            ids: files
                .iter()
                .map(|file| file.display().to_string())
                .collect(),
            labels: None,
            classes: Vec::new(),
            unread,
            noise: Noise::Same,
        })
    }

    /// Fails if files could not be read. A command that went on without them ends with this.
    pub(crate) fn ensure_complete(&self) -> Result<()> {
        ensure!(
            self.unread == 0,
            "{} of {} could not be read, as said above",
            self.unread,
            count(self.unread + self.len(), "image file")
        );
        Ok(())
    }

    /// The number of images.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Some of the images, in this order.
    pub(crate) fn pick(&self, places: &[usize]) -> Result<Tensor> {
        let places = Tensor::from_iter(places.iter().map(|&place| place as u32), &Device::Cpu)?;
        Ok(self.images.index_select(&places, 0)?)
    }

    /// Observes each image under a model. `seed` draws the noise. `class` is the class of all
    /// images; without it, classes are equally likely. All `ranks` call this, share the work, and
    /// get the same.
    pub(crate) fn observe(
        &self,
        model: &Glow,
        class: Option<u32>,
        seed: u64,
        ranks: &dyn Ranks,
        progress: &mut Progress,
    ) -> Result<Vec<Observation>> {
        let all = self.len();
        let tell = |images: usize| {
            let message = format!("{} of {}", HumanCount(images as u64), self.name);
            progress.update(images as f64 / all as f64, &message);
        };
        let data = match class {
            None => (&self.images).into(),
            Some(_) => tensors::of_class(&self.images, model.config(), class)?,
        };
        let noise = (self.noise)(seed);
        Ok(observe_images(model, data, noise, ranks, tell)?)
    }
}
