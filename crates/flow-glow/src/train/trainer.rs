//! The trainer: one model, its average, its optimiser, and their last good state.

use super::all_reduce::AllReduce;
use super::batch;
use super::by_inversion;
use super::objective::{Fitted, Objective};
use super::origin::Origin;
use super::settings::{Progress, TrainSettings, UnsoundInversion};
use super::shard::Shard;
use super::state::{Snapshot, State};
use crate::config::GlowConfig;
use crate::model::Glow;
use crate::{Error, Result};
use candle_core::Device;
use flow_core::device::is_host;
use flow_core::file::Scratch;
use flow_core::train::{Data, Inversion, LossGradient, Memory};
use flow_core::{Bijection, Gradients, random};
use std::path::Path;
use std::sync::Arc;

/// Number of updates between two snapshots of the last good state.
const KEEP_UPDATES: u64 = 100;

/// Fits a [`Glow`] to images by maximum likelihood. The caller owns the loop and the data.
///
/// A step that would harm the model is refused with [`Error::Diverged`]. The caller decides what
/// follows: [`roll_back`](Self::roll_back), or stop.
pub struct Trainer {
    /// Progress: [`apply`](Self::apply) counts steps, the caller's loop the rest.
    pub progress: Progress,
    /// The caller's notes, which a resumed training restores.
    pub notes: serde_json::Value,
    /// The caller's description of the training data, which stands in the header of every file.
    pub data: serde_json::Value,
    pub(super) config: GlowConfig,
    pub(super) settings: TrainSettings,
    pub(super) dataset: String,
    /// The trained model that the weights came from.
    pub(super) origin: Option<Origin>,
    pub(super) device: Device,
    pub(super) state: State,
    pub(super) good: Option<Snapshot>,
    /// The file of the last good state, if it is not in memory.
    pub(super) scratch: Option<Scratch>,
}

/// The gradient of a batch, with the proof that its weights are sound.
pub struct BatchGradient {
    /// Loss gradient in bits per dimension.
    of_loss: LossGradient,
    inversion: Option<Inversion>,
}

impl BatchGradient {
    fn new(bits_per_dim: f64, grads: Gradients, inversion: Option<Inversion>) -> Result<Self> {
        Ok(Self {
            of_loss: LossGradient::new(bits_per_dim, grads)?,
            inversion,
        })
    }

    /// Mean bits per dimension of the batch.
    pub fn bits_per_dim(&self) -> f64 {
        self.of_loss.loss
    }

    /// Gradient of the loss with respect to each parameter, before clipping. The loss is the mean
    /// bits per dimension, plus the term of [`TrainSettings::classification`].
    pub fn gradients(&self) -> &Gradients {
        &self.of_loss.gradients
    }

    /// Error of the inversion, if the gradient used it; see [`StepReport::inversion`].
    pub fn inversion(&self) -> Option<Inversion> {
        self.inversion
    }
}

/// Result of one step.
#[derive(Clone, Copy, Debug)]
pub struct StepReport {
    /// Mean bits per dimension of the batch, before the step.
    pub bits_per_dim: f64,
    /// Norm of the [gradient](BatchGradient::gradients), before clipping.
    pub grad_norm: f64,
    /// The learning rate of the step.
    pub learning_rate: f64,
    /// Error of the inversion, if the gradient used it. After an inversion that was not
    /// [sound](Inversion::is_sound), the gradient came from stored activations.
    pub inversion: Option<Inversion>,
}

impl Trainer {
    /// A fresh model, drawn from the settings' seed. `dataset` names the data in the checkpoint.
    pub fn new(
        config: &GlowConfig,
        settings: TrainSettings,
        dataset: &str,
        device: &Device,
    ) -> Result<Self> {
        settings.validate()?;
        if settings.classification > 0.0 && config.classes.is_none() {
            return Err(Error::Config(
                "a model without classes cannot learn to tell them apart: leave the weight of classification at 0, \
                 or give it classes"
                    .into(),
            ));
        }
        Ok(Self {
            progress: Progress::default(),
            notes: serde_json::Value::Null,
            data: serde_json::Value::Null,
            state: State::new(config, settings.precision, settings.seed, device)?,
            good: None,
            scratch: None,
            config: config.clone(),
            settings,
            dataset: dataset.to_owned(),
            origin: None,
            device: device.clone(),
        })
    }

    /// Data-dependent initialisation from u8 images `[B, C, H, W]` and their conditions, if the
    /// model takes any. Call it once, on a fresh trainer.
    ///
    /// # Errors
    /// If there are no images, or images or conditions do not fit the model.
    pub fn initialize(&self, data: impl Into<Data>) -> Result<()> {
        let data = self.state.trainable.map_contexts(data.into())?;
        let data = data.on(&self.device)?;
        if data.samples().elem_count() == 0 {
            let reason = "initialisation needs at least one image";
            return Err(Error::Config(reason.into()));
        }
        let seed = random::derive(self.settings.seed, "initialize");
        let (x, _) = self.state.frozen.dequantize(data.samples(), seed)?;
        data.given(self.state.trainable.levels())?.initialize(&x)?;
        self.state.reset_average()
    }

    /// The gradient on u8 images `[B, C, H, W]` and their conditions, if the model takes any, as in
    /// [`Glow::given`]. The trainer is unchanged.
    ///
    /// # Errors
    /// As [`shared_gradient`](Self::shared_gradient), without [`Error::Ranks`].
    pub fn gradient(&self, data: impl Into<Data>) -> Result<BatchGradient> {
        let data = data.into();
        let shard = Shard::whole(data.samples().dim(0)?);
        self.shared_gradient(data, &shard, &mut AllReduce::alone())
    }

    /// The gradient on a batch of which this rank has a `shard`: u8 images `[B, C, H, W]` and their
    /// conditions. Each rank calls this with its own shard, and all get the same result or error.
    /// The trainer is unchanged.
    ///
    /// # Errors
    /// [`Error::Ranks`] if another rank is lost. [`Error::Diverged`] if loss or gradient is not
    /// finite, or the loss lies far above the recent ones. Then an earlier step has harmed the
    /// weights, or the batch is an outlier. [`Error::UnsoundInversion`] if the settings ask for it.
    pub fn shared_gradient(
        &self,
        data: impl Into<Data>,
        shard: &Shard,
        all_reduce: &mut AllReduce,
    ) -> Result<BatchGradient> {
        if shard.batch_size() == 0 {
            return Err(Error::Config("training: a batch is empty".into()));
        }
        let data = self.state.trainable.with_contexts(data.into())?;
        let step = self.progress.step;
        let mut gradient = match self.settings.memory {
            Memory::Plain => self.plain_gradient(&data, shard, all_reduce)?,
            Memory::Constant => self.gradient_by_inversion(&data, shard, all_reduce)?,
        };
        let LossGradient { loss, norm, .. } = &mut gradient.of_loss;
        // Every rank has computed the same numbers; rank 0's make that certain.
        all_reduce.agree([loss, norm])?;
        let verdict = self.state.steps.losses.judge(*loss, *norm);
        verdict.map_err(|cause| Error::Diverged { step, cause })?;
        Ok(gradient)
    }

    /// Takes a step with a gradient at the present weights. `done` in 0..=1 is the completed share
    /// of the training; it sets the learning rate.
    pub fn apply(&mut self, gradient: BatchGradient, done: f64) -> Result<StepReport> {
        self.keep_if_due(&gradient)?;
        let settings = &self.settings.optimization;
        let State {
            steps, optimizer, ..
        } = &mut self.state;
        let learning_rate =
            settings.learning_rate_at(steps.updates, done) * self.progress.learning_rate_factor();
        steps.take(&gradient.of_loss, learning_rate, settings, optimizer)?;
        self.progress.count_update();
        Ok(StepReport {
            bits_per_dim: gradient.bits_per_dim(),
            grad_norm: gradient.of_loss.norm,
            learning_rate,
            inversion: gradient.inversion,
        })
    }

    /// [`gradient`](Self::gradient) and [`apply`](Self::apply).
    pub fn step(&mut self, data: impl Into<Data>, done: f64) -> Result<StepReport> {
        let gradient = self.gradient(data)?;
        self.apply(gradient, done)
    }

    /// Keeps more or fewer activations from now on. Gradients change by rounding only.
    pub fn set_memory(&mut self, memory: Memory, unsound_inversion: UnsoundInversion) {
        self.settings.memory = memory;
        self.settings.unsound_inversion = unsound_inversion;
    }

    /// Moves state to files on the disk of `folder`: the last good state, which is as large as
    /// weights, average and moments. With [`Memory::Constant`] on the CPU, average and moments move
    /// too, and a step reads and writes them parameter by parameter. The numbers stay the same. The
    /// files have no names and vanish with the trainer, however it ends.
    ///
    /// # Errors
    /// If a file cannot be written; errors name it `last-good-state` or `average-and-moments`.
    /// [`apply`](Self::apply) and [`model`](Self::model) can then fail in the same way.
    pub fn keep_on_disk(&mut self, folder: &Path) -> Result<()> {
        let scratch = Scratch::create(folder, "last-good-state")?;
        if let Some(good) = self.good.take() {
            self.good = Some(good.stored_in(&scratch)?);
        }
        self.scratch = Some(scratch);
        if self.settings.memory == Memory::Constant && is_host(&self.device) {
            let scratch = Scratch::create(folder, "average-and-moments")?;
            self.state.store_optimizer_state_in(scratch)?;
        }
        Ok(())
    }

    /// Restores the last good state: weights, average, moments, warm-up and the range of losses.
    /// Halves the learning rate, which then recovers.
    ///
    /// `progress` is unchanged, except for the number of rollbacks. The caller moves it past the
    /// refused batch. Neither the batch nor its noise, which follows `progress.step`, then comes
    /// again.
    pub fn roll_back(&mut self) -> Result<()> {
        match &self.good {
            Some(good) => self.state.restore(good)?,
            // The very first batch was refused, and nothing has changed since.
            None if self.state.steps.updates == 0 => {}
            None => {
                return Err(Error::Config(
                    "there is no saved good state to roll back to".into(),
                ));
            }
        }
        self.progress.count_rollback();
        Ok(())
    }

    /// True if the weights are the initial ones, or the last good state as restored or saved.
    pub fn stands_where_it_was_good(&self) -> bool {
        let good = self.good.as_ref();
        self.state.steps.updates == good.map_or(0, |good| good.steps.updates)
    }

    /// The model with the averaged weights, for evaluation and samples.
    ///
    /// # Errors
    /// If the average is in a [file](Self::keep_on_disk) and cannot be read.
    pub fn model(&self) -> Result<Arc<Glow>> {
        self.state.averaged()
    }

    /// Configuration of the model.
    pub fn config(&self) -> &GlowConfig {
        &self.config
    }

    /// Settings of the training.
    pub fn settings(&self) -> &TrainSettings {
        &self.settings
    }

    /// Name of the training data.
    pub fn dataset(&self) -> &str {
        &self.dataset
    }

    /// Number of scalar parameters.
    pub fn parameters(&self) -> usize {
        self.state.params.element_count()
    }

    fn plain_gradient(
        &self,
        data: &Data,
        shard: &Shard,
        all_reduce: &mut AllReduce,
    ) -> Result<BatchGradient> {
        let (model, seed) = (self.fitted(shard), self.noise_seed());
        let mut sums = all_reduce.begin();
        let (share, mut grads) = batch::gradient(&model, data, shard, seed)?;
        sums.send(&grads)?;
        let shares = sums.gather([share])?;
        sums.receive(&mut grads)?;
        BatchGradient::new(shares.iter().sum(), grads, None)
    }

    fn gradient_by_inversion(
        &self,
        data: &Data,
        shard: &Shard,
        all_reduce: &mut AllReduce,
    ) -> Result<BatchGradient> {
        let (model, seed) = (self.fitted(shard), self.noise_seed());
        let mut sums = all_reduce.begin();
        let (share, mut grads, own) = by_inversion::gradient(&model, data, shard, seed, &mut sums)?;
        let facts = sums.gather([share, own.error, own.level as f64])?;
        sums.receive(&mut grads)?;
        let (mut bits_per_dim, mut inversion) = (0.0, own);
        for &[share, error, level] in facts.as_chunks().0 {
            bits_per_dim += share;
            if error > inversion.error {
                let level = level as usize;
                inversion = Inversion { error, level };
            }
        }
        // A loss that is refused anyway needs no better gradient.
        let losses = &self.state.steps.losses;
        if inversion.is_sound() || losses.judge(bits_per_dim, 0.0).is_err() {
            return BatchGradient::new(bits_per_dim, grads, Some(inversion));
        }
        match self.settings.unsound_inversion {
            UnsoundInversion::Stop => Err(Error::UnsoundInversion {
                step: self.progress.step,
                inversion,
            }),
            UnsoundInversion::Plain => Ok(BatchGradient {
                inversion: Some(inversion),
                ..self.plain_gradient(data, shard, all_reduce)?
            }),
        }
    }

    pub(super) fn fitted(&self, shard: &Shard) -> Fitted<'_> {
        Fitted {
            trainable: &self.state.trainable,
            frozen: &self.state.frozen,
            params: &self.state.params,
            device: &self.device,
            objective: Objective {
                count: shard.batch_size(),
                classification: self.settings.classification,
            },
        }
    }

    /// The seed of the dequantisation noise of the next step.
    pub(super) fn noise_seed(&self) -> u64 {
        let step = self.progress.step;
        random::derive(self.settings.seed, &format!("noise.{step}"))
    }

    /// Saves the state, which `gradient` has proved sound, unless the loss is rising.
    fn keep_if_due(&mut self, gradient: &BatchGradient) -> Result<()> {
        let steps = &self.state.steps;
        let due = self
            .good
            .as_ref()
            .is_none_or(|good| steps.updates >= good.steps.updates + KEEP_UPDATES);
        if due && steps.losses.is_usual(gradient.bits_per_dim()) {
            // The old state is dropped first, so that only one is in memory.
            self.good = None;
            self.good = Some(self.state.snapshot(self.scratch.as_ref())?);
        }
        Ok(())
    }
}
