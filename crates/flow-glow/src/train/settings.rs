//! Settings and progress of a training.

use crate::{Error, Result};
use flow_core::ops::Precision;
use flow_core::train::{Memory, Optimization, Optimizer, Schedule};
use serde::{Deserialize, Serialize};

/// Reaction to an [`Inversion`](flow_core::train::Inversion) that is not sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnsoundInversion {
    /// Takes the step from a gradient with stored activations, as under [`Memory::Plain`].
    #[default]
    Plain,
    /// Stops with [`Error::UnsoundInversion`].
    Stop,
}

/// Settings of a training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainSettings {
    /// Images per step.
    pub batch_size: usize,
    /// Settings of a step, on the gradient of bits per dimension.
    #[serde(flatten)]
    pub optimization: Optimization,
    /// Number type of the coupling networks in training. Weights, their average, sums,
    /// log-determinants and everything outside the networks stay in f32, and so do evaluations.
    pub precision: Precision,
    /// Activations that a step keeps.
    #[serde(default)]
    pub memory: Memory,
    /// Reaction to failed inversion.
    #[serde(default)]
    pub unsound_inversion: UnsoundInversion,
    /// The weight of −ln p(class | image), under equally likely classes, in a model with classes.
    /// The other term, −ln p(image | class), hardly depends on the class (arXiv:2001.06448, section
    /// 3).
    #[serde(default)]
    pub classification: f64,
    /// Seeds initial weights, noise and shuffling.
    pub seed: u64,
}

impl Default for TrainSettings {
    fn default() -> Self {
        Self {
            batch_size: 32,
            optimization: Optimization {
                learning_rate: 8e-3,
                warmup_steps: 100,
                clip_norm: 1.0,
                average_decay: 0.999,
                optimizer: Optimizer::Muon,
                ..Optimization::default()
            },
            precision: Precision::F32,
            memory: Memory::default(),
            unsound_inversion: UnsoundInversion::default(),
            classification: 0.0,
            seed: 0,
        }
    }
}

impl TrainSettings {
    /// # Errors
    /// [`Error::Config`] that names the invalid setting.
    pub fn validate(&self) -> Result<()> {
        if self.batch_size == 0 {
            let reason = "training: batch_size must be at least 1, not 0";
            return Err(Error::Config(reason.into()));
        }
        let value = self.classification;
        if !(value >= 0.0 && value.is_finite()) {
            return Err(Error::Config(format!(
                "training: classification must be at least 0 and finite, not {value}"
            )));
        }
        if let Schedule::Custom(_) = self.optimization.schedule {
            let reason = "training: a checkpoint cannot keep a schedule of one's own";
            return Err(Error::Config(reason.into()));
        }
        let checked = self.optimization.check();
        checked.map_err(|error| Error::Config(Error::from(error).to_string()))
    }
}

/// More steps than any training takes; larger counters come from a broken file.
pub(super) const MAX_COUNT: u64 = 1 << 53;

/// Updates that recover half of the learning rate that the first rollback lost. Every further
/// rollback doubles them, so an outlying batch is forgotten, and a rate that is too high stays low.
const RECOVERY_UPDATES: f64 = 50.0;

impl TrainSettings {
    /// Images whose statistics initialise a model, by
    /// [`Trainer::initialize`](super::Trainer::initialize).
    pub const FIRST_IMAGES: usize = 256;

    /// The weight of classification for a model with classes: better class posteriors at little
    /// cost in likelihood.
    pub const CLASSIFICATION: f64 = 5.0;

    /// For [`GlowConfig::base`](crate::GlowConfig::base): the larger a model, the smaller the
    /// learning rate that it bears.
    pub fn base() -> Self {
        Self::with_learning_rate(4e-3)
    }

    /// For [`GlowConfig::paper`](crate::GlowConfig::paper), with the paper's optimizer.
    pub fn paper() -> Self {
        let mut settings = Self::with_learning_rate(1e-3);
        settings.optimization.optimizer = Optimizer::Adam;
        settings
    }

    fn with_learning_rate(learning_rate: f64) -> Self {
        let mut settings = Self::default();
        settings.optimization.learning_rate = learning_rate;
        settings
    }
}

/// Progress of a training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Steps taken, undone ones included.
    pub step: u64,
    /// Complete passes over the data.
    pub epoch: u64,
    /// Batches taken of the current epoch.
    pub batch: u64,
    /// Time spent training, in seconds.
    pub seconds: f64,
    /// Number of returns to the last good state.
    pub rollbacks: u32,
    /// Halvings of the learning rate that remain after recovery.
    pub halvings: f64,
}

impl Progress {
    /// Factor of the learning rate after rollbacks and recovery.
    pub fn learning_rate_factor(&self) -> f64 {
        (-self.halvings).exp2()
    }

    /// Halves the learning rate.
    pub(super) fn count_rollback(&mut self) {
        self.rollbacks += 1;
        self.halvings += 1.0;
    }

    /// Lets the learning rate recover by one update.
    pub(super) fn count_update(&mut self) {
        self.step += 1;
        let updates = RECOVERY_UPDATES * f64::from(self.rollbacks.saturating_sub(1)).exp2();
        self.halvings = (self.halvings - updates.recip()).max(0.0);
    }

    /// # Errors
    /// [`Error::Config`] if a training cannot have this progress.
    pub(super) fn validate(&self) -> Result<()> {
        let counted = [self.step, self.epoch, self.batch]
            .iter()
            .all(|count| *count < MAX_COUNT);
        let measured = [self.seconds, self.halvings]
            .iter()
            .all(|number| *number >= 0.0 && number.is_finite());
        if counted && measured {
            Ok(())
        } else {
            Err(Error::Config("its progress is not valid".into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_be_are_named_with_their_value() {
        type Set = fn(&mut TrainSettings, f64);
        let fields: [(&str, Set); 4] = [
            ("learning_rate", |settings, value| {
                settings.optimization.learning_rate = value;
            }),
            ("clip_norm", |settings, value| {
                settings.optimization.clip_norm = value;
            }),
            ("average_decay", |settings, value| {
                settings.optimization.average_decay = value;
            }),
            ("classification", |settings, value| {
                settings.classification = value;
            }),
        ];
        for (name, set) in fields {
            for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1e-3] {
                let mut settings = TrainSettings::default();
                set(&mut settings, value);
                let message = settings.validate().unwrap_err().to_string();
                assert!(message.contains(name), "{message}");
                assert!(message.ends_with(&format!(", not {value}")), "{message}");
            }
        }
    }
}
