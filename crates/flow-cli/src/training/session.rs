//! The loop of a training run.

use std::time::{Duration, Instant};

use anyhow::Result;
use candle_core::Device;
use flow_data::{Batch, Batches, Dataset};
use flow_glow::Trainer;
use indicatif::HumanCount;

use super::{Interrupt, Limits, MetricsLog, RunFolder, current_epoch};
use crate::{
    console::{Console, Progress},
    curve, data, draw, files, image_grid,
    measure::{self, Measurement},
};

/// Steps from one line of metrics to the next.
const RECORD_STEPS: u64 = 20;

/// A crash loses no more training than this.
const SAVE_INTERVAL: Duration = Duration::from_mins(2);

/// The picture of samples after each epoch.
const SAMPLES: usize = 25;
const SAMPLE_TEMPERATURE: f64 = 0.7;

/// Draws samples, and the noise of test images; `sample` and `eval` begin with the same one.
const SEED: u64 = 0;

/// What the numbers shown while training keep of their past in a step.
const SMOOTHING: f64 = 0.95;

/// The images of a training run.
pub(crate) struct Images {
    /// What the model is fitted to.
    pub(crate) train: Dataset,
    /// What it is judged on at the end.
    pub(crate) test: Dataset,
    /// What it is judged on after each epoch.
    pub(crate) probe: Dataset,
    /// Whether training images are mirrored at random.
    pub(crate) flip: bool,
}

/// A training run at work.
pub(crate) struct Session<'a> {
    /// The model and its optimizer.
    pub(crate) trainer: Trainer,
    /// What they work on.
    pub(crate) images: &'a Images,
    /// Where results go.
    pub(crate) folder: RunFolder,
    /// The course of the training.
    pub(crate) log: MetricsLog,
    /// When to stop.
    pub(crate) limits: Limits,
    /// Whether to stop now.
    pub(crate) interrupt: Interrupt,
    /// Where the tensors are.
    pub(crate) device: Device,
    /// Where to tell how it goes.
    pub(crate) console: Console,
}

/// What a person sees of the last steps.
struct Pulse {
    bar: Progress,
    began: Instant,
    /// Seconds spent on the training by earlier sessions.
    before: f64,
    saved: Instant,
    bits_per_dim: Option<f64>,
    step_seconds: Option<f64>,
}

impl Session<'_> {
    /// Trains until a limit is reached, measures the whole test split, and leaves all files behind.
    /// `None` if somebody asked to stop before that.
    pub(crate) fn run(&mut self) -> Result<Option<Measurement>> {
        let finished = self.train()?;
        self.save()?;
        let measured = if finished {
            self.draw_samples()?;
            self.measure(&self.images.test)?
        } else {
            None
        };
        self.record(measured)?;
        self.draw_curve()?;
        Ok(measured)
    }

    /// Whether a limit was reached, rather than somebody asked to stop.
    fn train(&mut self) -> Result<bool> {
        let images = self.images;
        let (batch_size, seed) = (
            self.trainer.settings().batch_size,
            self.trainer.settings().seed,
        );
        let mut pulse = Pulse {
            bar: self.console.progress(self.share()),
            began: Instant::now(),
            before: self.trainer.progress.seconds,
            saved: Instant::now(),
            bits_per_dim: None,
            step_seconds: None,
        };
        if self.share() >= 1.0 {
            tracing::warn!(
                "nothing is left to train: the limit of {} is reached; raise it to go on",
                self.limits
            );
        }
        while self.share() < 1.0 {
            let progress = self.trainer.progress;
            let epoch = Batches::new(&images.train, batch_size, seed, progress.epoch);
            for batch in epoch.flipped(images.flip).skip(progress.batch as usize) {
                self.step(&batch?, &mut pulse)?;
                if self.interrupt.requested() {
                    return Ok(false);
                }
                if self.share() >= 1.0 {
                    break;
                }
                self.after_step(&mut pulse)?;
            }
        }
        Ok(true)
    }

    fn step(&mut self, batch: &Batch, pulse: &mut Pulse) -> Result<()> {
        let started = Instant::now();
        let (images, labels) = data::to_device(batch, self.trainer.config(), &self.device)?;
        let share = self.share();
        let report = self.trainer.step(&images, labels.as_ref(), share)?;
        let batches = self.batches();
        let progress = &mut self.trainer.progress;
        progress.batch += 1;
        if progress.batch == batches {
            progress.epoch += 1;
            progress.batch = 0;
        }
        progress.seconds = pulse.before + pulse.began.elapsed().as_secs_f64();
        let time = started.elapsed();
        let size = self.trainer.settings().batch_size;
        self.log.add_step(&report, size, time);

        let progress = &self.trainer.progress;
        let bits = smooth(&mut pulse.bits_per_dim, report.bits_per_dim);
        let speed = size as f64 / smooth(&mut pulse.step_seconds, time.as_secs_f64());
        let message = format!(
            "epoch {}  step {}  {bits:.3} bits/dim  {speed:.0} images/s",
            current_epoch(progress),
            HumanCount(progress.step)
        );
        pulse.bar.update(self.share(), &message);
        Ok(())
    }

    /// What is due now and then.
    fn after_step(&mut self, pulse: &mut Pulse) -> Result<()> {
        if self.trainer.progress.batch == 0 {
            let measured = self.measure(&self.images.probe)?;
            self.record(measured)?;
            self.tell_epoch();
            self.draw_samples()?;
            self.draw_curve()?;
        } else {
            if self.trainer.progress.step.is_multiple_of(RECORD_STEPS) {
                self.record(None)?;
            }
            if pulse.saved.elapsed() < SAVE_INTERVAL {
                return Ok(());
            }
        }
        pulse.saved = Instant::now();
        self.save()
    }

    fn save(&self) -> Result<()> {
        self.trainer.save_training(&self.folder.training())?;
        self.trainer.save_model(&self.folder.model())?;
        Ok(())
    }

    fn record(&mut self, measured: Option<Measurement>) -> Result<()> {
        let test = measured.map(|measured| measured.bits_per_dim);
        let finite = test.filter(|bits| bits.is_finite());
        self.log.write(&self.trainer.progress, finite)
    }

    /// Measures the averaged weights; `None` if somebody asks to stop.
    fn measure(&self, test: &Dataset) -> Result<Option<Measurement>> {
        let mut bar = self.console.progress(0.0);
        let total = test.len() as u64;
        let message = format!("measuring {} test images", HumanCount(total));
        let model = self.trainer.model();
        let measured = measure::bits_per_dim(model, test, &self.device, SEED, |images| {
            bar.update(images as f64 / total as f64, &message);
            !self.interrupt.requested()
        })?;
        if let Some(measured) = measured
            && measured.non_finite > 0
        {
            tracing::warn!(
                "{} of {} test images have no finite bits per dimension",
                HumanCount(measured.non_finite as u64),
                HumanCount(total)
            );
        }
        Ok(measured)
    }

    fn draw_samples(&self) -> Result<()> {
        let model = self.trainer.model();
        let images = draw::images(model, SAMPLES, None, SAMPLE_TEMPERATURE, SEED, &self.device)?;
        let path = self.folder.samples(current_epoch(&self.trainer.progress));
        files::replace(&path, &image_grid::png(&images)?)
    }

    fn draw_curve(&self) -> Result<()> {
        let config = self.trainer.config();
        let title = format!(
            "Glow on {}: {} levels of {} steps, width {}",
            self.trainer.dataset(),
            config.levels,
            config.steps,
            config.width
        );
        match curve::png(&title, self.log.records())? {
            Some(png) => files::replace(&self.folder.curve(), &png),
            None => Ok(()),
        }
    }

    fn tell_epoch(&self) {
        let Some(record) = self.log.records().last() else {
            return;
        };
        let test = record
            .test_bits_per_dim
            .map(|bits| format!(", {bits:.3} on test images"));
        tracing::info!(
            "epoch {}: {:.3} bits per dimension on training batches{}, {:.0} images/s",
            record.epoch,
            record.train_bits_per_dim,
            test.unwrap_or_default(),
            record.images_per_second
        );
    }

    /// The share of the training that is done, 0 to 1.
    fn share(&self) -> f64 {
        self.limits.share(&self.trainer.progress, self.batches())
    }

    /// Steps in an epoch.
    fn batches(&self) -> u64 {
        (self.images.train.len() / self.trainer.settings().batch_size) as u64
    }
}

fn smooth(average: &mut Option<f64>, value: f64) -> f64 {
    let smoothed = average.map_or(value, |old| SMOOTHING * old + (1.0 - SMOOTHING) * value);
    *average = Some(smoothed);
    smoothed
}
