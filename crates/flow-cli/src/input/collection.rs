//! Images with names: a data set, or image files.

use std::{path::PathBuf, time::Instant};

use anyhow::{Result, ensure};
use candle_core::{Device, Tensor};
use flow_data::Split;
use flow_glow::{
    Glow, GlowConfig,
    outliers::{Observation, observe},
    ranks::{Ranks, gather, patience},
};
use indicatif::HumanCount;

use crate::{
    cli::DataDirArgs,
    input::{
        data::{self, Choice},
        image_files::{self, Found},
    },
    measure::{self, BATCH_SIZE},
    output::{console::Progress, words::count},
};

/// Images with names.
pub(crate) struct Collection {
    /// What all of them are called.
    pub(crate) name: String,
    /// u8 `[N, C, H, W]`, on the CPU.
    pub(crate) images: Tensor,
    /// What each one is called: its number in the split, or its file.
    pub(crate) ids: Vec<String>,
    /// The class of each, if known.
    pub(crate) labels: Option<Vec<u32>>,
    /// Files that were asked for and could not be read.
    unread: usize,
    noise: Noise,
}

/// Which dequantization noise an image meets.
enum Noise {
    /// That of its batch, as in `flow eval`.
    OfBatch,
    /// The same for each, so that a file's numbers do not depend on the files beside it.
    Same,
}

impl Collection {
    /// Opens a split of a data set, evenly thinned out to `limit` images; `option` named it.
    pub(crate) fn of_dataset(
        (choice, option): (Choice, &str),
        split: Split,
        limit: Option<usize>,
        config: &GlowConfig,
        data_dir: &DataDirArgs,
    ) -> Result<Self> {
        let [mut dataset] = data::open(choice, [split], data_dir)?;
        data::check_shape(config, &dataset, option)?;
        let places = dataset.thin_out(limit.unwrap_or(usize::MAX));
        let batch = dataset.batch(&(0..dataset.len()).collect::<Vec<_>>())?;
        Ok(Self {
            name: format!("{} {split}", dataset.name()),
            images: batch.images,
            ids: places.iter().map(ToString::to_string).collect(),
            labels: Some(batch.labels.to_vec1()?),
            unread: 0,
            noise: Noise::OfBatch,
        })
    }

    /// Reads image files, and those in folders; warns of those that cannot be read.
    pub(crate) fn of_files(paths: &[PathBuf], config: &GlowConfig) -> Result<Self> {
        let Found {
            files,
            images,
            unread,
        } = image_files::find(paths, config.image)?;
        Ok(Self {
            name: count(files.len(), "image file"),
            images,
            ids: files
                .iter()
                .map(|file| file.display().to_string())
                .collect(),
            labels: None,
            unread,
            noise: Noise::Same,
        })
    }

    /// An error if files that were asked for could not be read: the last word of a command that went
    /// on without them.
    pub(crate) fn ensure_complete(&self) -> Result<()> {
        ensure!(
            self.unread == 0,
            "{} of {} could not be read, as said above",
            self.unread,
            count(self.unread + self.len(), "image file")
        );
        Ok(())
    }

    /// How many images there are.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Some of the images, in this order.
    pub(crate) fn pick(&self, places: &[usize]) -> Result<Tensor> {
        let places = Tensor::from_iter(places.iter().map(|&place| place as u32), &Device::Cpu)?;
        Ok(self.images.index_select(&places, 0)?)
    }

    /// Asks a model about each image. `seed` draws the noise; `class` is that of all images, for a model with
    /// classes, which else count alike. All `ranks` call this, share the work, and get the same.
    pub(crate) fn observe(
        &self,
        model: &Glow,
        class: Option<u32>,
        seed: u64,
        device: &Device,
        ranks: &dyn Ranks,
        progress: &mut Progress,
    ) -> Result<Vec<Observation>> {
        let began = Instant::now();
        let mut found = Vec::with_capacity(2 * self.len());
        let batches = 0..self.len().div_ceil(BATCH_SIZE);
        for batch in batches.filter(|&batch| measure::is_own(ranks, batch)) {
            let start = batch * BATCH_SIZE;
            let share = start as f64 / self.len() as f64;
            progress.update(
                share,
                &format!("{} of {}", HumanCount(start as u64), self.name),
            );
            let length = BATCH_SIZE.min(self.len() - start);
            let images = self
                .images
                .narrow(0, start, length)?
                .contiguous()?
                .to_device(device)?;
            let (x, offset) = self.dequantize(model, &images, batch, seed)?;
            let labels = class
                .map(|class| Tensor::full(class, length, device))
                .transpose()?;
            let observed = observe(model, &x, &offset, labels.as_ref())?;
            let numbers = observed
                .iter()
                .flat_map(|one| [one.bits_per_dim, one.latent_norm]);
            found.extend((2 * start..).zip(numbers));
        }
        let found = gather(ranks, 2 * self.len(), found, patience(began))?;
        let observation = |&[bits_per_dim, latent_norm]: &[f64; 2]| Observation {
            bits_per_dim,
            latent_norm,
        };
        Ok(found.as_chunks().0.iter().map(observation).collect())
    }

    fn dequantize(
        &self,
        model: &Glow,
        images: &Tensor,
        batch: usize,
        seed: u64,
    ) -> Result<(Tensor, Tensor)> {
        match self.noise {
            Noise::OfBatch => Ok(model.dequantize(images, measure::batch_seed(seed, batch))?),
            Noise::Same => {
                let one = |image: usize| model.dequantize(&images.narrow(0, image, 1)?, seed);
                let parts = (0..images.dim(0)?)
                    .map(one)
                    .collect::<flow_glow::Result<Vec<_>>>()?;
                let (x, offsets): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
                Ok((Tensor::cat(&x, 0)?, Tensor::cat(&offsets, 0)?))
            }
        }
    }
}
