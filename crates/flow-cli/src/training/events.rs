//! The course of a training run for TensorBoard.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context, Result};

use super::{Record, RunFolder};
use crate::output::{event_file::Event, files};

/// An event file. It is made from `metrics.jsonl` and the samples, so a resumed training writes it
/// anew.
pub(crate) struct EventLog {
    path: PathBuf,
    file: File,
    /// Start of a training that never stopped, in seconds since 1970.
    began: f64,
}

impl EventLog {
    /// Makes the file of `folder` with all that is known of the training so far.
    pub(crate) fn create(folder: &RunFolder, records: &[Record]) -> Result<Self> {
        let path = folder.events();
        let trained = records.last().map_or(0.0, |record| record.seconds);
        let began = now() - trained;
        files::replace(&path, &Event::beginning(began).record())?;
        let file = File::options()
            .append(true)
            .open(&path)
            .with_context(|| cannot_write(&path))?;
        let mut log = Self { path, file, began };
        log.add_records(records)?;
        // An epoch's samples belong to the last line with its result.
        let results = records
            .iter()
            .filter(|record| record.test_bits_per_dim.is_some());
        let by_epoch: BTreeMap<_, _> = results.map(|record| (record.epoch, record)).collect();
        for (epoch, record) in by_epoch {
            let samples = folder.samples(epoch);
            if samples.is_file() {
                let png = fs::read(&samples);
                let png = png.with_context(|| format!("cannot read `{}`", samples.display()))?;
                log.add_png(began + record.seconds, record.step, png)?;
            }
        }
        Ok(log)
    }

    /// Adds lines of metrics.
    pub(super) fn add_records(&mut self, records: &[Record]) -> Result<()> {
        for record in records {
            let mut scalars = vec![
                ("bits_per_dim/train", record.train_bits_per_dim),
                ("optimizer/learning_rate", record.lr),
                ("optimizer/gradient_norm", record.grad_norm),
                ("speed/images_per_second", record.images_per_second),
            ];
            scalars.extend(
                record
                    .test_bits_per_dim
                    .map(|bits| ("bits_per_dim/test", bits)),
            );
            let time = self.began + record.seconds;
            self.add(&Event::scalars(time, record.step, &scalars))?;
        }
        Ok(())
    }

    /// Adds a picture of samples.
    pub(super) fn add_samples(&mut self, step: u64, png: Vec<u8>) -> Result<()> {
        self.add_png(now(), step, png)
    }

    fn add_png(&mut self, time: f64, step: u64, png: Vec<u8>) -> Result<()> {
        let picture = image::load_from_memory_with_format(&png, image::ImageFormat::Png)
            .with_context(|| "cannot read a picture of samples")?;
        let size = (
            picture.width(),
            picture.height(),
            picture.color().channel_count(),
        );
        self.add(&Event::png(time, step, "samples", size, png))
    }

    fn add(&mut self, event: &Event) -> Result<()> {
        // One write, so that a reader never sees half a record.
        self.file
            .write_all(&event.record())
            .with_context(|| cannot_write(&self.path))
    }
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0.0, |time| time.as_secs_f64())
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write `{}`", path.display())
}
