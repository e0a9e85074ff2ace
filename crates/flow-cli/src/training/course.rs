//! The course of a training of another process, as its files have it.

use std::{fs, path::Path, time::SystemTime};

use candle_core::Device;
use flow_core::file::{self, Floats};
use flow_glow::Progress;
use serde::Deserialize;

use super::{Limits, Record, RunFolder, metrics};

/// The lines of a training, and how far it is.
pub(crate) struct Course {
    pub(crate) records: Vec<Record>,
    /// The share that is done, 0 to 1, once the training has been saved.
    pub(crate) share: Option<f64>,
    /// Epochs of which there are samples.
    pub(crate) epochs: Vec<u64>,
}

/// Time of the last change of a file, and its length; `None` if it is not there.
pub(crate) type Stamp = Option<(SystemTime, u64)>;

/// The fields of a training file's header that tell how far it is.
#[derive(Deserialize)]
struct Header {
    training: Training,
    resume: Resume,
}

#[derive(Deserialize)]
struct Training {
    settings: Settings,
}

#[derive(Deserialize)]
struct Settings {
    batch_size: u64,
}

#[derive(Deserialize)]
struct Resume {
    notes: Notes,
}

#[derive(Deserialize)]
struct Notes {
    limits: Limits,
    images: u64,
}

impl Course {
    /// Reads the files of a run. Those that are not there yet, or hold something else, tell
    /// nothing.
    pub(crate) fn read(run: &RunFolder) -> Self {
        let records = fs::read_to_string(run.metrics()).unwrap_or_default();
        let records = metrics::records(&records);
        let last = records.last();
        Self {
            share: last.and_then(|last| share(run, last)),
            epochs: run.sampled_epochs(),
            records,
        }
    }

    /// The seconds that are left at the speed so far.
    pub(crate) fn seconds_left(&self) -> Option<f64> {
        let (share, last) = (self.share?, self.records.last()?);
        let left = last.seconds * (1.0 - share) / share;
        left.is_finite().then_some(left)
    }
}

/// The stamps of the files that a training writes as it goes on.
pub(crate) fn stamps(run: &RunFolder) -> [Stamp; 3] {
    let newest = run.sampled_epochs().last().map(|&epoch| run.samples(epoch));
    let newest = newest.and_then(|path| stamp(&path));
    [stamp(&run.metrics()), newest, stamp(&run.model())]
}

pub(crate) fn stamp(path: &Path) -> Stamp {
    let found = fs::metadata(path).ok()?;
    Some((found.modified().ok()?, found.len()))
}

fn share(run: &RunFolder, last: &Record) -> Option<f64> {
    let header = header(run)?;
    let batches = header.resume.notes.images / header.training.settings.batch_size.max(1);
    let batches = batches.max(1);
    let progress = Progress {
        step: last.step,
        epoch: last.step / batches,
        batch: last.step % batches,
        seconds: last.seconds,
        ..Progress::default()
    };
    Some(header.resume.notes.limits.share(&progress, batches))
}

fn header(run: &RunFolder) -> Option<Header> {
    let mut found = None;
    // The error ends the reading before the tensors.
    let _ = file::read(&run.training(), &Device::Cpu, Floats::Any, |header| {
        found = header.and_then(|text| serde_json::from_str(text).ok());
        Err::<(), _>(String::new())
    });
    found
}
