//! The loop of a training run, in the process that decides and writes.
//!
//! Each step takes the gradient of the next batch first. A finite gradient proves the weights
//! sound. Only then the step writes metrics, pictures and checkpoints. Then the weights move. A
//! step depends on the saved state alone, so a resumed run repeats the step at which it was saved.

use std::time::{Duration, Instant};

use anyhow::Result;
use candle_core::Device;
use flow_analysis::likelihood::Measurement;
use flow_core::train::Inversion;
use flow_data::Batch;
use flow_glow::{AllReduce, BatchGradient, Error, Progress, Shard, Trainer};

use super::{
    EventLog, Images, Interrupt, Limits, MetricsLog, RunFolder, metrics::Due, order::Order,
    progress_bar::TrainingBar,
};
use crate::{output::console::Console, process_group};

/// A training run at work, in the process that decides and writes.
pub(crate) struct Session<'a> {
    /// The model and its optimizer.
    pub(crate) trainer: Trainer,
    /// Training and test images.
    pub(crate) images: &'a Images,
    /// The connection to the other ranks.
    pub(crate) all_reduce: AllReduce,
    /// The folder of all results.
    pub(crate) folder: RunFolder,
    /// The log of metrics.
    pub(crate) log: MetricsLog,
    /// The log for TensorBoard, if the user asked for it.
    pub(crate) events: Option<EventLog>,
    /// Limits of this session.
    pub(crate) limits: Limits,
    /// The limits that a later `--resume` finds.
    pub(crate) lasting: Limits,
    /// The longest training that a crash may lose.
    pub(crate) save_interval: Duration,
    /// Training time between copies of the model, if copies are kept.
    pub(crate) keep_interval: Option<Duration>,
    /// The most rollbacks before the training is given up.
    pub(crate) max_rollbacks: u32,
    /// Requests of the user to stop.
    pub(crate) interrupt: Interrupt,
    /// The device of all tensors.
    pub(crate) device: Device,
    /// The console for progress.
    pub(crate) console: Console,
}

/// The end of a run.
pub(crate) enum Outcome {
    /// A limit was reached, and the test images were measured.
    Measured(Measurement),
    /// A limit was reached; the user stopped the measurement.
    Unmeasured,
    /// The user stopped the training before a limit.
    Stopped,
}

/// The reason why the loop ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// A limit was reached.
    Finished,
    /// The user asked for it.
    Stopped,
}

/// State of the loop that is not saved.
struct LoopState {
    bar: TrainingBar,
    began: Instant,
    /// Seconds of earlier sessions.
    before: f64,
    saved: Instant,
    /// Seconds of training at the last call of `keep`.
    looked: f64,
    /// The last batch was refused: either the weights or that batch are at fault.
    doubted: bool,
    /// The user was warned that inversion fails.
    warned_of_inversion: bool,
}

impl LoopState {
    /// Warns once: inversion often fails at every step, and the metrics count the failures.
    fn warn_of_inversion(&mut self, inversion: Inversion, progress: &Progress) {
        if !self.warned_of_inversion {
            self.warned_of_inversion = true;
            tracing::warn!(
                "after step {}, inputs of level {} come back from its outputs with a relative error of \
                 {:.1e}, beyond {:.0e}; such steps keep all activations, `plain_steps` in \
                 `metrics.jsonl` counts them",
                progress.step,
                inversion.level,
                inversion.error,
                Inversion::BOUND
            );
        }
    }
}

impl Session<'_> {
    /// Trains until a limit is reached, measures the test images, and leaves all files behind.
    pub(crate) fn run(&mut self) -> Result<Outcome> {
        self.save()?;
        // The other ranks wait longer here than in the middle of a step.
        self.all_reduce.ranks().barrier()?;
        let end = match self.train() {
            // The weights are those of the last step, which all ranks took.
            Err(error) if process_group::are_lost(&error) => {
                self.save()?;
                return Err(error.context(format!(
                    "the training ends after step {}, which is saved in `{}`; `--resume` goes on",
                    self.trainer.progress.step,
                    self.folder.path().display()
                )));
            }
            end => end?,
        };
        self.save()?;
        let outcome = match end {
            End::Stopped => Outcome::Stopped,
            End::Finished => match self.conclude()? {
                Some(measured) => Outcome::Measured(measured),
                None => Outcome::Unmeasured,
            },
        };
        if let Outcome::Measured(_) = outcome {
            self.save()?;
        }
        self.draw_curve()?;
        self.order(Order::End)?;
        Ok(outcome)
    }

    fn train(&mut self) -> Result<End> {
        let images = self.images;
        let settings = self.trainer.settings().clone();
        let shard = Shard::of(self.all_reduce.ranks(), settings.batch_size);
        let mut state = LoopState {
            bar: TrainingBar::new(self.console.progress(self.share())),
            began: Instant::now(),
            before: self.trainer.progress.seconds,
            saved: Instant::now(),
            looked: self.trainer.progress.seconds,
            doubted: false,
            warned_of_inversion: false,
        };
        loop {
            let progress = self.trainer.progress;
            for batch in images.batches_left(&settings, &progress, &shard) {
                if let Some(end) = self.step(&batch?, &shard, &mut state)? {
                    return Ok(end);
                }
            }
        }
    }

    fn step(&mut self, batch: &Batch, shard: &Shard, state: &mut LoopState) -> Result<Option<End>> {
        let started = Instant::now();
        let Some(gradient) = self.gradient(batch, shard, state)? else {
            return Ok(None);
        };
        let mut time = started.elapsed();
        if let Some(inversion) = gradient.inversion().filter(|found| !found.is_sound()) {
            state.warn_of_inversion(inversion, &self.trainer.progress);
        }

        let share = self.share();
        if share >= 1.0 {
            return Ok(Some(End::Finished));
        }
        self.keep(state)?;
        let due = self.log.due(&self.trainer.progress);
        match due {
            Due::Nothing => {}
            Due::Line => self.write_line()?,
            Due::Epoch if self.write_epoch()? => {}
            Due::Epoch => return Ok(Some(End::Stopped)),
        }
        if self.interrupt.requested() {
            return Ok(Some(End::Stopped));
        }
        if due == Due::Epoch || state.saved.elapsed() >= self.save_interval {
            self.save()?;
            state.saved = Instant::now();
        }

        let started = Instant::now();
        self.order(Order::Apply(share))?;
        let report = self.trainer.apply(gradient, share)?;
        time += started.elapsed();
        self.pass_batch();
        self.trainer.progress.seconds = state.before + state.began.elapsed().as_secs_f64();
        let size = self.trainer.settings().batch_size;
        self.log.add_step(&report, size, time);
        let progress = &self.trainer.progress;
        state.bar.show(&report, size, time, progress, self.share());
        Ok(None)
    }

    /// The gradient of a batch, unless it is refused.
    fn gradient(
        &mut self,
        batch: &Batch,
        shard: &Shard,
        state: &mut LoopState,
    ) -> Result<Option<BatchGradient>> {
        let train = &self.images.train;
        let data = train.data(batch, self.trainer.config(), &self.device)?;
        let gradient = self
            .trainer
            .shared_gradient(&data, shard, &mut self.all_reduce);
        let doubted = std::mem::take(&mut state.doubted);
        match gradient {
            Err(Error::Diverged { cause, .. }) if doubted => self.roll_back(cause, batch, shard)?,
            Err(Error::Diverged { cause, .. }) => {
                state.doubted = true;
                self.leave_out(cause, batch, shard)?;
            }
            Err(error @ Error::UnsoundInversion { .. }) => {
                self.save()?;
                return Err(error.into());
            }
            gradient => return Ok(Some(gradient?)),
        }
        Ok(None)
    }

    pub(super) fn pass_batch(&mut self) {
        let settings = self.trainer.settings().clone();
        self.images
            .pass_batch(&settings, &mut self.trainer.progress);
    }

    pub(super) fn order(&self, order: Order) -> Result<()> {
        order.give(self.all_reduce.ranks())
    }

    /// Saves all that is needed to go on, and the model.
    pub(super) fn save(&mut self) -> Result<()> {
        // The lines are on the disk before the file that counts them.
        let journal = self.log.sync()?.clone();
        let notes = self.images.notes(self.lasting, journal);
        notes.write(&mut self.trainer)?;
        self.trainer.save_training(&self.folder.training())?;
        self.trainer.save_model(&self.folder.model())?;
        Ok(())
    }

    /// Keeps a copy of the model if the time for one has passed since the last call.
    fn keep(&self, state: &mut LoopState) -> Result<()> {
        let Some(interval) = self.keep_interval else {
            return Ok(());
        };
        let interval = interval.as_secs_f64();
        let seconds = self.trainer.progress.seconds;
        let marks = (seconds / interval).floor();
        if marks > (state.looked / interval).floor() {
            let path = self.folder.kept_model(marks * interval)?;
            self.trainer.save_model(&path)?;
        }
        state.looked = seconds;
        Ok(())
    }

    /// The share of the training that is done, 0 to 1.
    pub(crate) fn share(&self) -> f64 {
        let batches = self.images.batches(self.trainer.settings());
        self.limits.share(&self.trainer.progress, batches)
    }
}
