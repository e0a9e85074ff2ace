//! Saves a training, and resumes it bit by bit.

use super::settings::MAX_COUNT;
use super::state::State;
use super::trainer::Trainer;
use crate::checkpoint::{self, GOOD, Header, TrainingRecord};
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use flow_core::file::Piece;
use flow_core::train::Steps;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Header of a `training.safetensors`, beside its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResumeRecord {
    state: Steps,
    /// Counters of the last good state, whose tensors have the prefix `good`.
    good: Option<Steps>,
    /// The caller's notes.
    notes: serde_json::Value,
}

impl Trainer {
    /// Resumes from a `training.safetensors`. With the same batches and limits on the same machine,
    /// the following steps give the same bits as an uninterrupted training.
    pub fn resume(path: &Path, device: &Device) -> Result<Self> {
        let (mut header, tensors) = checkpoint::read(path, device)?;
        let refuse = |reason: String| Error::Checkpoint {
            path: path.to_owned(),
            reason,
        };
        let Some(record) = header.resume.take() else {
            return Err(refuse(
                "it holds a model without the state of its training; resume from the \
                 `training.safetensors` beside it"
                    .into(),
            ));
        };
        Self::restored(header, record, tensors, device).map_err(|error| refuse(error.to_string()))
    }

    fn restored(
        header: Header,
        record: ResumeRecord,
        tensors: BTreeMap<String, Tensor>,
        device: &Device,
    ) -> Result<Self> {
        let Some(TrainingRecord { settings, progress }) = header.training else {
            return Err(Error::Config(
                "its header has no record of a training".into(),
            ));
        };
        settings.validate()?;
        progress.validate()?;
        let steps = [Some(&record.state), record.good.as_ref()];
        steps.into_iter().flatten().try_for_each(check)?;

        let mut parts = checkpoint::split_parts(tensors);
        let good = parts.remove(GOOD).unwrap_or_default();
        let precision = settings.precision;
        let state = State::from_tensors(&header.model, precision, parts, record.state, device)?;
        let good = record.good.map(|steps| state.snapshot_of(good, steps));
        Ok(Self {
            progress,
            notes: record.notes,
            data: header.data,
            config: header.model,
            settings,
            dataset: header.dataset,
            origin: header.origin,
            device: device.clone(),
            state,
            good: good.transpose()?,
            scratch: None,
        })
    }

    /// Writes the averaged weights, which the other commands load.
    pub fn save_model(&self, path: &Path) -> Result<()> {
        checkpoint::write(path, &self.header(None), self.averages())
    }

    /// The bytes of that file.
    ///
    /// # Errors
    /// If the averages are in a file and cannot be read.
    pub fn model_bytes(&self) -> Result<Vec<u8>> {
        checkpoint::bytes(&self.header(None), self.averages())
    }

    fn averages(&self) -> impl Iterator<Item = (String, Piece)> {
        let averages = self.state.optimizer.averages();
        averages.map(|(name, piece)| (name.clone(), piece.clone()))
    }

    /// Writes everything that [`resume`](Self::resume) needs.
    pub fn save_training(&self, path: &Path) -> Result<()> {
        let own = self.state.pieces();
        let good = self.good.iter().flat_map(|good| &good.tensors);
        let good = good.map(|(name, piece)| (format!("{GOOD}/{name}"), piece.clone()));
        let record = ResumeRecord {
            state: self.state.steps.clone(),
            good: self.good.as_ref().map(|good| good.steps.clone()),
            notes: self.notes.clone(),
        };
        checkpoint::write(path, &self.header(Some(record)), own.chain(good))
    }

    fn header(&self, resume: Option<ResumeRecord>) -> Header {
        let training = TrainingRecord {
            settings: self.settings.clone(),
            progress: self.progress,
        };
        let header = Header::new(self.config.clone(), self.dataset.clone(), Some(training));
        Header {
            resume,
            data: self.data.clone(),
            origin: self.origin.clone(),
            ..header
        }
    }
}

/// # Errors
/// [`Error::Config`] if no training can have taken these steps.
fn check(steps: &Steps) -> Result<()> {
    if steps.updates < MAX_COUNT && steps.losses.are_valid() {
        Ok(())
    } else {
        Err(Error::Config("its counters of steps are not valid".into()))
    }
}
