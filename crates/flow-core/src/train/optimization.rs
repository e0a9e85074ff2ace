//! Settings of the updates of the weights: optimiser, learning rate, clipping and average.

use super::Optimizer;
use crate::Result;
use candle_core::bail;
use std::f64::consts::PI;
use std::fmt;
use std::sync::Arc;

/// Schedule of the learning rate after warm-up.
///
/// ```
/// use flow_core::train::{FitSettings, Optimization, Schedule};
///
/// // A linear decline, and the rate halved every 1,000 steps.
/// let linear = Schedule::custom(|_, done| 1.0 - done);
/// let halving = Schedule::custom(|step, _| 0.5_f64.powi((step / 1_000) as i32));
/// let optimization = Optimization { schedule: halving, ..Optimization::default() };
/// let settings = FitSettings { optimization, ..FitSettings::default() };
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
pub enum Schedule {
    /// Constant learning rate.
    Constant,
    /// Falls to zero along half a cosine over the planned steps.
    #[default]
    Cosine,
    /// A schedule of one's own, [`Schedule::custom`]. It cannot be kept in a checkpoint.
    #[cfg_attr(feature = "serde", serde(skip))]
    Custom(RateFactor),
}

impl Schedule {
    /// The learning rate times `factor(step, done)`: of the steps taken before, and of the share of
    /// planned steps that are done, in 0..1. A factor that is negative or not finite ends the
    /// training with an error.
    pub fn custom(factor: impl Fn(u64, f64) -> f64 + Send + Sync + 'static) -> Self {
        Self::Custom(RateFactor(Arc::new(factor)))
    }

    fn factor(&self, step: u64, done: f64) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Cosine => 0.5 * (1.0 + (PI * done.clamp(0.0, 1.0)).cos()),
            Self::Custom(RateFactor(factor)) => factor(step, done),
        }
    }
}

/// A function of [`Schedule::custom`]; clones of one are equal.
#[derive(Clone)]
pub struct RateFactor(Arc<dyn Fn(u64, f64) -> f64 + Send + Sync>);

impl fmt::Debug for RateFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RateFactor(…)")
    }
}

impl PartialEq for RateFactor {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Settings of the updates of the weights.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Optimization {
    /// The learning rate after warm-up.
    pub learning_rate: f64,
    /// Steps over which the learning rate grows from zero.
    pub warmup_steps: u64,
    /// The largest norm of the gradient over all parameters, to which longer ones are scaled;
    /// `f64::MAX` disables clipping.
    pub clip_norm: f64,
    /// Decay of the exponential moving average of the weights in a step; 0 for no average.
    pub average_decay: f64,
    /// Decoupled weight decay: a step shrinks weights by the learning rate times this, apart from
    /// the gradient. With Adam it is AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101).
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Optimization::is_zero")
    )]
    pub weight_decay: f64,
    /// The optimiser.
    pub optimizer: Optimizer,
    /// Schedule of the learning rate.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Schedule::is_default")
    )]
    pub schedule: Schedule,
}

impl Default for Optimization {
    /// Adam at 10⁻³ along a cosine, without warm-up, weight decay and average.
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            warmup_steps: 0,
            clip_norm: 5.0,
            average_decay: 0.0,
            weight_decay: 0.0,
            optimizer: Optimizer::default(),
            schedule: Schedule::default(),
        }
    }
}

impl Optimization {
    /// # Errors
    /// If a setting has an invalid value; the error names both.
    pub fn check(&self) -> Result<()> {
        let positive = [
            ("learning_rate", self.learning_rate),
            ("clip_norm", self.clip_norm),
        ];
        for (name, value) in positive {
            if !(value > 0.0 && value.is_finite()) {
                bail!("training: {name} must be above 0 and finite, not {value}");
            }
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            let value = self.weight_decay;
            bail!("training: weight_decay must be 0 or more and finite, not {value}");
        }
        if !(0.0..1.0).contains(&self.average_decay) {
            let value = self.average_decay;
            bail!("training: average_decay must lie in 0..1, not {value}");
        }
        Ok(())
    }

    /// The learning rate after `updates` steps, with the share `done` of the training completed:
    /// linear warm-up times the schedule.
    #[must_use]
    pub fn learning_rate_at(&self, updates: u64, done: f64) -> f64 {
        let warmup = ((updates + 1) as f64 / (self.warmup_steps + 1) as f64).min(1.0);
        let rate = self.learning_rate * warmup;
        rate * self.schedule.factor(updates, done)
    }

    /// The decay of the average after `updates` steps: small at first, so that it forgets the
    /// initial weights.
    pub(super) fn average_decay_at(&self, updates: u64) -> f64 {
        self.average_decay
            .min((1 + updates) as f64 / (10 + updates) as f64)
    }
}

#[cfg(feature = "serde")]
impl Optimization {
    #[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature.
    fn is_zero(number: &f64) -> bool {
        *number == 0.0
    }
}

#[cfg(feature = "serde")]
impl Schedule {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
