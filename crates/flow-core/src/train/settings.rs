//! Settings of a fit.

use crate::Result;
use crate::optimizer::Optimizer;
use candle_core::bail;
use std::f64::consts::PI;

/// Schedule of the learning rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Schedule {
    /// It stays.
    Constant,
    /// It falls to zero along half a cosine over the steps that are planned.
    #[default]
    Cosine,
}

/// Settings of a fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FitSettings {
    /// Samples of a step.
    pub batch_size: usize,
    /// At most so many passes over the data.
    pub epochs: usize,
    /// At most so many steps.
    pub max_steps: usize,
    /// The learning rate at first.
    pub learning_rate: f64,
    /// Schedule of the learning rate.
    pub schedule: Schedule,
    /// The optimiser.
    pub optimizer: Optimizer,
    /// The norm, over all parameters, beyond which a gradient is shortened; `f64::MAX` for never.
    pub clip_norm: f64,
    /// The share of the data that is held out, in 0..1, drawn at random.
    pub validation: f64,
    /// After so many epochs without a better one training ends.
    pub patience: usize,
    /// Ends with the weights of the best epoch, and not with those of the last.
    pub keep_best: bool,
    /// True if what depends on data, as ActNorm's statistics, is first set from a batch.
    pub initialize: bool,
    /// Seeds the choice of what is held out, and shuffling.
    pub seed: u64,
}

impl Default for FitSettings {
    /// Adam at 10⁻³ along a cosine, batches of 256, at most 100 epochs; a tenth is held out, and ten epochs
    /// without a better one end it.
    fn default() -> Self {
        Self {
            batch_size: 256,
            epochs: 100,
            max_steps: usize::MAX,
            learning_rate: 1e-3,
            schedule: Schedule::default(),
            optimizer: Optimizer::default(),
            clip_norm: 5.0,
            validation: 0.1,
            patience: 10,
            keep_best: true,
            initialize: true,
            seed: 0,
        }
    }
}

impl FitSettings {
    /// # Errors
    /// If a setting cannot be: names it and its value.
    pub(super) fn check(&self) -> Result<()> {
        let counts = [
            ("batch_size", self.batch_size),
            ("epochs", self.epochs),
            ("max_steps", self.max_steps),
            ("patience", self.patience),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, count)| *count == 0) {
            bail!("training: {name} must be at least 1, not 0");
        }
        let sizes = [
            ("learning_rate", self.learning_rate),
            ("clip_norm", self.clip_norm),
        ];
        for (name, value) in sizes {
            if !(value > 0.0 && value.is_finite()) {
                bail!("training: {name} must be above 0 and finite, not {value}");
            }
        }
        if !(0.0..1.0).contains(&self.validation) {
            bail!(
                "training: validation, the share that is held out, must lie in 0..1, not {}",
                self.validation
            );
        }
        Ok(())
    }

    /// At `done` of all steps, in 0..1.
    pub(super) fn learning_rate_at(&self, done: f64) -> f64 {
        match self.schedule {
            Schedule::Constant => self.learning_rate,
            Schedule::Cosine => self.learning_rate * 0.5 * (1.0 + (PI * done).cos()),
        }
    }
}
