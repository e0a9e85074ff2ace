//! How to train, and where training stands.

use super::optimizer::Optimizer;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// How to train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainSettings {
    /// Images of a step.
    pub batch_size: usize,
    /// The learning rate after warm-up; it falls to zero along a cosine.
    pub learning_rate: f64,
    /// Steps over which the learning rate grows from zero.
    pub warmup_steps: u64,
    /// The norm, over all parameters, beyond which a gradient (of bits per dimension) is shortened.
    pub clip_norm: f64,
    /// How much of the moving average of the weights a step keeps.
    pub average_decay: f64,
    /// The optimiser.
    pub optimizer: Optimizer,
    /// Seeds initial weights, noise and shuffling.
    pub seed: u64,
}

impl Default for TrainSettings {
    fn default() -> Self {
        Self {
            batch_size: 32,
            learning_rate: 8e-3,
            warmup_steps: 100,
            clip_norm: 1.0,
            average_decay: 0.999,
            optimizer: Optimizer::Adam,
            seed: 0,
        }
    }
}

impl TrainSettings {
    /// # Errors
    /// [`Error::Config`] with the setting that cannot be.
    pub fn validate(&self) -> Result<()> {
        let requirements = [
            (self.batch_size >= 1, "batch size must be at least 1"),
            (
                self.learning_rate > 0.0 && self.learning_rate.is_finite(),
                "learning rate must be above 0",
            ),
            (self.clip_norm > 0.0, "clip norm must be above 0"),
            (
                (0.0..1.0).contains(&self.average_decay),
                "average decay must lie in 0..1",
            ),
        ];
        match requirements.into_iter().find(|(met, _)| !met) {
            Some((_, text)) => Err(Error::Config(text.into())),
            None => Ok(()),
        }
    }

    /// The learning rate of a step: linear warm-up times a cosine over the share `done` of training.
    pub(super) fn learning_rate_at(&self, step: u64, done: f64) -> f64 {
        let warmup = ((step + 1) as f64 / (self.warmup_steps + 1) as f64).min(1.0);
        self.learning_rate * warmup * 0.5 * (1.0 + (PI * done.clamp(0.0, 1.0)).cos())
    }

    /// The decay of the average at a step: short at first, so that it forgets the initial weights.
    pub(super) fn average_decay_at(&self, step: u64) -> f64 {
        self.average_decay
            .min((1 + step) as f64 / (10 + step) as f64)
    }
}

/// More steps than any training takes; counters beyond it come from a broken file.
const MAX_COUNT: u64 = 1 << 53;

/// Where training stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Steps taken.
    pub step: u64,
    /// Whole passes over the data.
    pub epoch: u64,
    /// Batches taken of the epoch that is under way.
    pub batch: u64,
    /// Time spent training, in seconds.
    pub seconds: f64,
}

impl Progress {
    /// # Errors
    /// [`Error::Config`] if no training can stand there.
    pub(super) fn validate(&self) -> Result<()> {
        let counted = [self.step, self.epoch, self.batch]
            .iter()
            .all(|count| *count < MAX_COUNT);
        if counted && self.seconds >= 0.0 && self.seconds.is_finite() {
            Ok(())
        } else {
            Err(Error::Config("no training can stand where it says".into()))
        }
    }
}
