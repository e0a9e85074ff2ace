//! Settings of a training, and where it stands.

use crate::{Error, Result};
use flow_core::ops::Precision;
use flow_core::train::{Memory, Optimization};
use serde::{Deserialize, Serialize};

/// Reaction to an [`Inversion`](flow_core::train::Inversion) that is not sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnsoundInversion {
    /// The step is taken from a gradient as [`Memory::Plain`] has it.
    #[default]
    Plain,
    /// [`Error::UnsoundInversion`].
    Stop,
}

/// Settings of a training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainSettings {
    /// Images of a step.
    pub batch_size: usize,
    /// Settings of a step, on a gradient of bits per dimension.
    #[serde(flatten)]
    pub optimization: Optimization,
    /// The numbers in which the coupling networks of the model that is fitted are computed. Weights,
    /// their average, sums, log-determinants and everything outside the networks are in f32, and so
    /// is what is measured.
    pub precision: Precision,
    /// What a step keeps.
    #[serde(default)]
    pub memory: Memory,
    /// What happens where inversion fails.
    #[serde(default)]
    pub unsound_inversion: UnsoundInversion,
    /// The weight, in a model with classes, of how badly it tells them apart: of −ln p(class | image), where all
    /// classes are equally likely, beside −ln p(image | class), which hardly depends on the class
    /// (arXiv:2001.06448, section 3).
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
    /// [`Error::Config`] with the setting that cannot be.
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
        let checked = self.optimization.check();
        checked.map_err(|error| Error::Config(Error::from(error).to_string()))
    }
}

/// More steps than any training takes; counters beyond it come from a broken file.
pub(super) const MAX_COUNT: u64 = 1 << 53;

/// Updates in which half of the learning rate, lost by the first rollback, is won back. Every further rollback
/// doubles them: a batch that was like no other is forgotten, a rate that is too high is not.
const RECOVERY_UPDATES: f64 = 50.0;

/// Where training stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Steps taken, those that were undone among them.
    pub step: u64,
    /// Whole passes over the data.
    pub epoch: u64,
    /// Batches taken of the epoch that is under way.
    pub batch: u64,
    /// Time spent training, in seconds.
    pub seconds: f64,
    /// How often training went back to its last good state.
    pub rollbacks: u32,
    /// How many halvings of the learning rate they have left behind.
    pub halvings: f64,
}

impl Progress {
    /// What is left of the learning rate after the rollbacks.
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
    /// [`Error::Config`] if no training can stand there.
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
            Err(Error::Config("no training can stand where it says".into()))
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
