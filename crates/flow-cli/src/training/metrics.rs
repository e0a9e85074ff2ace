//! `metrics.jsonl`: the course of a training run, one JSON object a line.
//!
//! The lines of a resumed training are those of one that never stopped, except for the two fields
//! of times. Their sums are saved with the training, as a [`Journal`].

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use flow_core::train::Divergence;
use flow_glow::{Progress, StepReport};
use serde::{Deserialize, Serialize};

use crate::output::{files, words::count};

/// Steps from one line to the next.
const RECORD_STEPS: u64 = 20;

/// A line about some steps. Means are over the steps since the line before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Steps done.
    pub(crate) step: u64,
    /// The epoch the step belongs to, from 1.
    pub(crate) epoch: u64,
    /// Mean over the training batches.
    pub(crate) train_bits_per_dim: f64,
    /// Result of the averaged weights on some test images, or on all of them in the last line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) test_bits_per_dim: Option<f64>,
    /// Learning rate of the step.
    pub(crate) lr: f64,
    /// Mean norm of the gradient before clipping.
    pub(crate) grad_norm: f64,
    /// The worst relative error of an inversion whose gradient was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) inversion_error: Option<f64>,
    /// The number of steps whose inversion was too inexact, so that they kept all activations.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) plain_steps: u32,
    /// Training speed.
    pub(crate) images_per_second: f64,
    /// Time spent on the training so far.
    pub(crate) seconds: f64,
}

/// A line about a step that was refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct RefusedStep {
    /// Steps done before it.
    step: u64,
    /// The epoch it belongs to, from 1.
    epoch: u64,
    /// The number of rollbacks so far; absent if the batch was only left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rollback: Option<u32>,
    /// The cause of the refusal.
    cause: String,
    /// The factor of the learning rate from now on.
    lr_factor: f64,
    /// Time spent on the training so far.
    seconds: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Steps(Record),
    Refused(RefusedStep),
}

/// The position in the file. It is saved with the training, so that a resumed one writes the same
/// lines.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Journal {
    lines: u64,
    /// Steps done at the last line about steps.
    step: u64,
    /// Whole epochs done then.
    epoch: u64,
    recent: Sums,
}

/// Sums over the steps since the last line about steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sums {
    steps: u32,
    images: usize,
    bits_per_dim: f64,
    grad_norm: f64,
    learning_rate: f64,
    #[serde(default)]
    inversion_error: Option<f64>,
    #[serde(default)]
    plain_steps: u32,
    seconds: f64,
}

/// The next entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// A line.
    Line,
    /// A line with a result on test images.
    Epoch,
}

/// The file, and what is in it.
pub(crate) struct MetricsLog {
    path: PathBuf,
    file: File,
    records: Vec<Record>,
    journal: Journal,
}

impl MetricsLog {
    /// Opens the file as it was when `journal` was saved; later lines are dropped.
    pub(crate) fn open(path: &Path, journal: Journal) -> Result<Self> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text.with_context(|| format!("cannot read `{}`", path.display()))?,
        };
        let (mut content, mut lines, mut records) = (String::new(), 0, Vec::new());
        for text in text.split_inclusive('\n').take(journal.lines as usize) {
            let Ok(line) = serde_json::from_str(text) else {
                break;
            };
            if let Line::Steps(record) = line {
                records.push(record);
            }
            content += text;
            lines += 1;
        }
        if lines < journal.lines {
            tracing::warn!(
                "`{}` holds {lines} of {} that it had; the rest of the course is lost",
                path.display(),
                count(journal.lines as usize, "line")
            );
        }
        files::replace(path, content.as_bytes())?;
        let file = File::options()
            .append(true)
            .open(path)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            records,
            journal: Journal { lines, ..journal },
        })
    }

    /// Counts a step on `images` images that took `time`.
    pub(super) fn add_step(&mut self, report: &StepReport, images: usize, time: Duration) {
        let recent = &mut self.journal.recent;
        recent.steps += 1;
        recent.images += images;
        recent.bits_per_dim += report.bits_per_dim;
        recent.grad_norm += report.grad_norm;
        recent.learning_rate = report.learning_rate;
        match report.inversion {
            Some(inversion) if inversion.is_sound() => {
                let worst = recent.inversion_error.unwrap_or(0.0);
                recent.inversion_error = Some(worst.max(inversion.error));
            }
            Some(_) => recent.plain_steps += 1,
            None => {}
        }
        recent.seconds += time.as_secs_f64();
    }

    /// The entry that is due at `progress`, until it is written.
    pub(super) fn due(&self, progress: &Progress) -> Due {
        if progress.epoch > self.journal.epoch {
            Due::Epoch
        } else if progress.step / RECORD_STEPS > self.journal.step / RECORD_STEPS {
            Due::Line
        } else {
            Due::Nothing
        }
    }

    /// Writes a line about the steps since the last one, if there are any or there is a new result.
    pub(super) fn write(
        &mut self,
        progress: &Progress,
        epoch: u64,
        test: Option<f64>,
    ) -> Result<()> {
        let recent = std::mem::take(&mut self.journal.recent);
        self.journal.step = progress.step;
        self.journal.epoch = progress.epoch;
        let steps = f64::from(recent.steps);
        let record = if recent.steps > 0 {
            Record {
                step: progress.step,
                epoch,
                train_bits_per_dim: recent.bits_per_dim / steps,
                test_bits_per_dim: test,
                lr: recent.learning_rate,
                grad_norm: recent.grad_norm / steps,
                inversion_error: recent.inversion_error,
                plain_steps: recent.plain_steps,
                images_per_second: recent.images as f64 / recent.seconds,
                seconds: progress.seconds,
            }
        } else {
            // A training that ends where its last line was written has its result measured later.
            match self.records.last() {
                Some(last) if last.test_bits_per_dim.is_none() && test.is_some() => Record {
                    test_bits_per_dim: test,
                    ..last.clone()
                },
                _ => return Ok(()),
            }
        };
        self.records.push(record.clone());
        self.append(&Line::Steps(record))
    }

    /// Writes a line about the refused step after `progress`.
    pub(super) fn write_refused(
        &mut self,
        progress: &Progress,
        rollback: bool,
        cause: Divergence,
    ) -> Result<()> {
        self.append(&Line::Refused(RefusedStep {
            step: progress.step,
            epoch: progress.epoch + 1,
            rollback: rollback.then_some(progress.rollbacks),
            cause: cause.to_string(),
            lr_factor: progress.learning_rate_factor(),
            seconds: progress.seconds,
        }))
    }

    fn append(&mut self, line: &Line) -> Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        // One write, so that a reader never sees half a line.
        self.file
            .write_all(&bytes)
            .with_context(|| format!("cannot write `{}`", self.path.display()))?;
        self.journal.lines += 1;
        Ok(())
    }

    /// Brings all lines to the disk. Returns the position in the file.
    pub(super) fn sync(&self) -> Result<&Journal> {
        self.file
            .sync_all()
            .with_context(|| format!("cannot write `{}`", self.path.display()))?;
        Ok(&self.journal)
    }

    /// All lines about steps.
    pub(crate) fn records(&self) -> &[Record] {
        &self.records
    }
}

/// The lines about steps in the text of a file, of which the last may not be whole yet.
pub(super) fn records(text: &str) -> Vec<Record> {
    let lines = text
        .lines()
        .map_while(|line| serde_json::from_str(line).ok());
    let records = lines.filter_map(|line| match line {
        Line::Steps(record) => Some(record),
        Line::Refused(_) => None,
    });
    records.collect()
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature.
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// The epoch the last step belongs to, from 1.
pub(crate) fn current_epoch(progress: &Progress) -> u64 {
    if progress.batch == 0 {
        progress.epoch.max(1)
    } else {
        progress.epoch + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(step: u64) -> Progress {
        Progress {
            step,
            batch: step,
            seconds: 7.0,
            ..Progress::default()
        }
    }

    fn add_steps(log: &mut MetricsLog) {
        let report = StepReport {
            bits_per_dim: 1.5,
            grad_norm: 2.0,
            learning_rate: 1e-3,
            inversion: None,
        };
        log.add_step(&report, 64, Duration::from_millis(100));
        log.add_step(&report, 64, Duration::from_millis(300));
    }

    fn steps(log: &MetricsLog) -> Vec<u64> {
        log.records().iter().map(|record| record.step).collect()
    }

    fn test_file() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        (folder, path)
    }

    #[test]
    fn opening_drops_what_was_written_later() {
        let (_folder, path) = test_file();
        let mut log = MetricsLog::open(&path, Journal::default()).unwrap();
        for step in [20, 40] {
            add_steps(&mut log);
            log.write(&at(step), 1, None).unwrap();
        }
        log.write_refused(&at(41), true, Divergence::Loss).unwrap();
        add_steps(&mut log);
        let saved = log.sync().unwrap().clone();
        let whole = |mut log: MetricsLog| {
            log.write(&at(60), 1, None).unwrap();
            assert_eq!(steps(&log), [20, 40, 60]);
            fs::read_to_string(&path).unwrap()
        };
        let expected = whole(log);
        assert_eq!(expected.lines().count(), 4);
        fs::write(&path, expected.clone() + "{\"step\": 8").unwrap();

        let log = MetricsLog::open(&path, saved).unwrap();
        assert_eq!(steps(&log), [20, 40]);
        assert_eq!(whole(log), expected);
    }

    #[test]
    fn what_is_due_stays_due_until_it_is_written() {
        let (_folder, path) = test_file();
        let mut log = MetricsLog::open(&path, Journal::default()).unwrap();
        assert_eq!(log.due(&at(19)), Due::Nothing);
        assert_eq!([20, 21].map(|step| log.due(&at(step))), [Due::Line; 2]);
        log.write(&at(21), 1, None).unwrap();
        assert_eq!([21, 39].map(|step| log.due(&at(step))), [Due::Nothing; 2]);
        let epoch = Progress { epoch: 1, ..at(30) };
        assert_eq!(log.due(&epoch), Due::Epoch);
        log.write(&epoch, 1, Some(1.0)).unwrap();
        assert_eq!(log.due(&epoch), Due::Nothing);
    }

    #[test]
    fn a_line_holds_means_and_a_later_result_gets_a_line_once() {
        let (_folder, path) = test_file();
        let mut log = MetricsLog::open(&path, Journal::default()).unwrap();
        add_steps(&mut log);
        log.write(&at(2), 1, None).unwrap();
        log.write(&at(2), 1, None).unwrap();
        let line = |test: &str| {
            format!(
                "{{\"step\":2,\"epoch\":1,\"train_bits_per_dim\":1.5,{test}\"lr\":0.001,\"grad_norm\":2.0,\
                 \"images_per_second\":320.0,\"seconds\":7.0}}\n"
            )
        };
        assert_eq!(fs::read_to_string(&path).unwrap(), line(""));
        log.write(&at(2), 1, Some(1.0)).unwrap();
        log.write(&at(2), 1, Some(1.0)).unwrap();
        let both = line("") + &line("\"test_bits_per_dim\":1.0,");
        assert_eq!(fs::read_to_string(&path).unwrap(), both);
    }
}
