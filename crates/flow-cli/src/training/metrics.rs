//! `metrics.jsonl`: the course of a training run, one JSON object a line.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use flow_glow::{Progress, StepReport};
use serde::{Deserialize, Serialize};

use crate::files;

/// A line of `metrics.jsonl`. Means are over the steps since the line before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Steps done.
    pub(crate) step: u64,
    /// The epoch the step belongs to, from 1.
    pub(crate) epoch: u64,
    /// Mean over the training batches.
    pub(crate) train_bits_per_dim: f64,
    /// Of the averaged weights, on some of the test images, or all of them in the last line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) test_bits_per_dim: Option<f64>,
    /// Learning rate of the step.
    pub(crate) lr: f64,
    /// Mean norm of the gradient before clipping.
    pub(crate) grad_norm: f64,
    /// Training speed.
    pub(crate) images_per_second: f64,
    /// Time spent on the training so far.
    pub(crate) seconds: f64,
}

/// The file, what is in it, and the steps since its last line.
pub(crate) struct MetricsLog {
    path: PathBuf,
    file: File,
    records: Vec<Record>,
    recent: Recent,
}

/// Sums over some steps.
#[derive(Default)]
struct Recent {
    steps: u32,
    images: usize,
    bits_per_dim: f64,
    grad_norm: f64,
    learning_rate: f64,
    time: Duration,
}

impl MetricsLog {
    /// Opens the file as it was after `step` steps; what it holds beyond that is dropped.
    pub(crate) fn open(path: &Path, step: u64) -> Result<Self> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text.with_context(|| format!("cannot read `{}`", path.display()))?,
        };
        // A crash can leave half a line at the end.
        let records = text
            .lines()
            .map_while(|line| serde_json::from_str::<Record>(line).ok())
            .take_while(|record| record.step <= step)
            .collect::<Vec<_>>();
        let mut content = Vec::new();
        for record in &records {
            content.extend(line(record)?);
        }
        files::replace(path, &content)?;
        let file = File::options()
            .append(true)
            .open(path)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            records,
            recent: Recent::default(),
        })
    }

    /// Counts a step on `images` images that took `time`.
    pub(crate) fn add_step(&mut self, report: &StepReport, images: usize, time: Duration) {
        let recent = &mut self.recent;
        recent.steps += 1;
        recent.images += images;
        recent.bits_per_dim += report.bits_per_dim;
        recent.grad_norm += report.grad_norm;
        recent.learning_rate = report.learning_rate;
        recent.time += time;
    }

    /// Writes a line about the steps since the last one, if there are any or there is a new result.
    pub(crate) fn write(&mut self, progress: &Progress, test: Option<f64>) -> Result<()> {
        let recent = std::mem::take(&mut self.recent);
        if recent.steps == 0 {
            // A training that was stopped while its result was measured has it measured later.
            return match self.records.last() {
                Some(last) if last.test_bits_per_dim.is_none() && test.is_some() => {
                    let record = Record {
                        test_bits_per_dim: test,
                        ..last.clone()
                    };
                    self.append(record)
                }
                _ => Ok(()),
            };
        }
        let steps = f64::from(recent.steps);
        let record = Record {
            step: progress.step,
            epoch: current_epoch(progress),
            train_bits_per_dim: recent.bits_per_dim / steps,
            test_bits_per_dim: test,
            lr: recent.learning_rate,
            grad_norm: recent.grad_norm / steps,
            images_per_second: recent.images as f64 / recent.time.as_secs_f64(),
            seconds: progress.seconds,
        };
        self.append(record)
    }

    fn append(&mut self, record: Record) -> Result<()> {
        // One write, so that a reader never sees half a line.
        self.file
            .write_all(&line(&record)?)
            .with_context(|| format!("cannot write `{}`", self.path.display()))?;
        self.records.push(record);
        Ok(())
    }

    /// All lines.
    pub(crate) fn records(&self) -> &[Record] {
        &self.records
    }
}

/// The epoch the last step belongs to, from 1.
pub(crate) fn current_epoch(progress: &Progress) -> u64 {
    if progress.batch == 0 {
        progress.epoch.max(1)
    } else {
        progress.epoch + 1
    }
}

fn line(record: &Record) -> Result<Vec<u8>> {
    let mut line = serde_json::to_vec(record)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(log: &mut MetricsLog, step: u64) {
        let report = StepReport {
            bits_per_dim: 1.5,
            grad_norm: 2.0,
            learning_rate: 1e-3,
        };
        log.add_step(&report, 64, Duration::from_millis(100));
        log.add_step(&report, 64, Duration::from_millis(300));
        let progress = Progress {
            step,
            epoch: 0,
            batch: step,
            seconds: 7.0,
        };
        log.write(&progress, None).unwrap();
    }

    fn steps(log: &MetricsLog) -> Vec<u64> {
        log.records().iter().map(|record| record.step).collect()
    }

    #[test]
    fn opening_at_a_step_drops_what_lies_beyond() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut log = MetricsLog::open(&path, 0).unwrap();
        for step in [20, 40, 60] {
            write(&mut log, step);
        }
        fs::write(&path, fs::read_to_string(&path).unwrap() + "{\"step\": 8").unwrap();

        let mut log = MetricsLog::open(&path, 59).unwrap();
        assert_eq!(steps(&log), [20, 40]);
        write(&mut log, 60);
        let log = MetricsLog::open(&path, 100).unwrap();
        assert_eq!(steps(&log), [20, 40, 60]);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 3);
    }

    #[test]
    fn a_line_holds_means_and_a_later_result_gets_a_line_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut log = MetricsLog::open(&path, 0).unwrap();
        write(&mut log, 2);
        let progress = Progress::default();
        log.write(&progress, None).unwrap();
        let line = |test: &str| {
            format!(
                "{{\"step\":2,\"epoch\":1,\"train_bits_per_dim\":1.5,{test}\"lr\":0.001,\"grad_norm\":2.0,\
                 \"images_per_second\":320.0,\"seconds\":7.0}}\n"
            )
        };
        assert_eq!(fs::read_to_string(&path).unwrap(), line(""));
        log.write(&progress, Some(1.0)).unwrap();
        log.write(&progress, Some(1.0)).unwrap();
        let both = line("") + &line("\"test_bits_per_dim\":1.0,");
        assert_eq!(fs::read_to_string(&path).unwrap(), both);
    }
}
