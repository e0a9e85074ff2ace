//! Results of a training run beside its checkpoints: metrics, pictures, measurements.

use anyhow::Result;
use flow_analysis::likelihood::{self, Measurement, Noise};
use flow_glow::Error;
use indicatif::HumanCount;

use super::{Session, current_epoch, order::Order};
use crate::{
    input::examples::Examples,
    output::{
        curve,
        draw::{self, Conditions},
        files, image_grid, picture_file,
        words::{self, count},
    },
};

/// The picture of samples after each epoch.
const SAMPLES: usize = 25;
const SAMPLE_TEMPERATURE: f64 = 0.7;

/// Draws samples, and the noise of test images; `sample` and `eval` begin with the same one.
const SEED: u64 = 0;

/// The noise of test images.
pub(super) const NOISE: Noise = Noise {
    seed: SEED,
    draws: 1,
};

impl Session<'_> {
    /// Writes a line about the last steps.
    pub(super) fn write_line(&mut self) -> Result<()> {
        self.record(current_epoch(&self.trainer.progress), None)
    }

    /// Writes the results of the finished epoch. False if the user asks to stop before.
    pub(super) fn write_epoch(&mut self) -> Result<bool> {
        self.order(Order::Compare)?;
        self.trainer.check_united(self.all_reduce.ranks())?;
        self.order(Order::Probe)?;
        let Some(measured) = self.measure(&self.images.probe)? else {
            return Ok(false);
        };
        let epoch = self.trainer.progress.epoch;
        self.record(epoch, Some(measured))?;
        self.report_epoch();
        self.draw_samples(epoch)?;
        self.draw_curve()?;
        Ok(true)
    }

    /// Writes the results of the whole training; `None` if the user asks to stop before.
    pub(super) fn conclude(&mut self) -> Result<Option<Measurement>> {
        let epoch = current_epoch(&self.trainer.progress);
        self.report_measuring();
        self.draw_samples(epoch)?;
        self.order(Order::Test)?;
        let measured = self.measure(&self.images.test)?;
        if measured.is_some() {
            self.record(epoch, measured)?;
        }
        Ok(measured)
    }

    fn report_measuring(&self) {
        let skip = if self.all_reduce.ranks().is_alone() {
            "; Ctrl-C skips that"
        } else {
            ""
        };
        let fewer = if self.images.measured.is_none() {
            "; `--eval-images` measures fewer"
        } else {
            ""
        };
        tracing::info!(
            "the training is over after step {}; measuring {} test images{skip}{fewer}",
            HumanCount(self.trainer.progress.step),
            HumanCount(self.images.test.len() as u64)
        );
    }

    fn record(&mut self, epoch: u64, measured: Option<Measurement>) -> Result<()> {
        let test = measured.map(|measured| measured.bits_per_dim);
        let finite = test.filter(|bits| bits.is_finite());
        let before = self.log.records().len();
        self.log.write(&self.trainer.progress, epoch, finite)?;
        match (&mut self.events, self.log.records().get(before..)) {
            (Some(events), Some(new)) => events.add_records(new),
            _ => Ok(()),
        }
    }

    /// Measures the averaged weights; `None` if the user asks to stop.
    fn measure(&self, test: &Examples) -> Result<Option<Measurement>> {
        let mut bar = self.console.progress(0.0);
        let total = test.len() as u64;
        let message = format!("measuring {}", count(test.len(), "test image"));
        let model = self.trainer.model()?;
        let ranks = self.all_reduce.ranks();
        let batches = test.batches(model.config());
        let measured = likelihood::bits_per_dim(&model, batches, NOISE, ranks, |images| {
            bar.update(images as f64 / total as f64, &message);
            // The other ranks wait for the results of this one.
            !self.interrupt.requested() || !ranks.is_alone()
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

    fn draw_samples(&mut self, epoch: u64) -> Result<()> {
        let model = self.trainer.model()?;
        let conditions = match self.images.test.some_conditions(SAMPLES)? {
            Some(numbers) => Conditions::of_numbers(numbers),
            None => Conditions::of_classes(model.config(), SAMPLES, None)?,
        };
        let bound = conditions.of(&model)?;
        let images = draw::images(&bound, SAMPLES, SAMPLE_TEMPERATURE, SEED);
        let images = match images {
            Err(error) if matches!(error.downcast_ref(), Some(Error::NonFiniteImages { .. })) => {
                tracing::warn!("no samples of epoch {epoch} are drawn: {error}");
                return Ok(());
            }
            images => images?,
        };
        let png = picture_file::png(&image_grid::square(&images)?)?;
        files::replace(&self.folder.samples(epoch), &png)?;
        match &mut self.events {
            Some(events) => events.add_samples(self.trainer.progress.step, png),
            None => Ok(()),
        }
    }

    pub(super) fn draw_curve(&self) -> Result<()> {
        let config = self.trainer.config();
        let title = format!(
            "Glow on {}: {}, width {}",
            self.trainer.dataset(),
            words::levels(config),
            config.width
        );
        match curve::png(&title, self.log.records())? {
            Some(png) => files::replace(&self.folder.curve(), &png),
            None => Ok(()),
        }
    }

    fn report_epoch(&self) {
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
}
