//! Conditions of a training step, checked before it changes the weights.
//!
//! A loss, in bits per dimension, is compared with the losses accepted before it. It may exceed
//! their median by `SPREADS` standard deviations, estimated from the median absolute deviation, and
//! by `LEAST_JUMP` in any case. Both are medians, so an outlying batch does not move the bound, and
//! a loss may fall arbitrarily fast. The first steps vary more.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt::{self, Display, Formatter};

/// Number of recent losses.
const WINDOW: usize = 100;

/// Largest distance above the median, in standard deviations.
const SPREADS: f64 = 10.0;

/// The same in bits per dimension, where the spread is small.
const LEAST_JUMP: f64 = 2.0;

/// The same in the first steps, before `FIRST` losses are known.
const FIRST_JUMP: f64 = 16.0;
const FIRST: usize = 20;

/// The standard deviation of normal numbers, in median absolute deviations.
const DEVIATION: f64 = 1.4826;

/// Reason to refuse a step.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Divergence {
    /// The loss is infinite or NaN.
    Loss,
    /// The gradient is infinite or NaN.
    Gradient,
    /// The loss lies far above the recent ones.
    Jump {
        /// The loss, in bits per dimension.
        loss: f64,
        /// The median of the recent losses.
        usual: f64,
    },
}

impl Error for Divergence {}

impl Display for Divergence {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loss => f.write_str("the loss is not finite"),
            Self::Gradient => f.write_str("the gradient is not finite"),
            Self::Jump { loss, usual } => write!(
                f,
                "the loss jumped from {} to {} bits per dimension",
                short(*usual),
                short(*loss)
            ),
        }
    }
}

impl Divergence {
    /// # Errors
    /// If loss or norm is infinite or NaN.
    pub fn check_finite(loss: f64, grad_norm: f64) -> Result<(), Self> {
        if !loss.is_finite() {
            return Err(Self::Loss);
        }
        if !grad_norm.is_finite() {
            return Err(Self::Gradient);
        }
        Ok(())
    }

    /// True if a number is infinite or NaN, and not merely large.
    pub fn is_not_finite(self) -> bool {
        matches!(self, Self::Loss | Self::Gradient)
    }
}

/// The last accepted losses, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(transparent)
)]
pub struct Losses(VecDeque<f64>);

impl Losses {
    /// # Errors
    /// If a step with this loss, in bits per dimension, and this norm must be refused.
    #[allow(clippy::missing_panics_doc)] // It never does.
    pub fn judge(&self, loss: f64, grad_norm: f64) -> Result<(), Divergence> {
        Divergence::check_finite(loss, grad_norm)?;
        let Some(usual) = self.median() else {
            return Ok(());
        };
        let distances = self.0.iter().map(|past| (past - usual).abs()).collect();
        let spread = DEVIATION * median(distances).expect("there are as many as losses");
        let least = if self.0.len() < FIRST {
            FIRST_JUMP
        } else {
            LEAST_JUMP
        };
        if loss > usual + (SPREADS * spread).max(least) {
            return Err(Divergence::Jump { loss, usual });
        }
        Ok(())
    }

    /// True if this loss is in the better half of the recent ones, unlike that of a diverging
    /// training.
    pub fn is_usual(&self, loss: f64) -> bool {
        self.median().is_none_or(|usual| loss <= usual)
    }

    /// Adds an accepted loss.
    pub(super) fn push(&mut self, loss: f64) {
        if self.0.len() == WINDOW {
            self.0.pop_front();
        }
        self.0.push_back(loss);
    }

    /// True if these can be accepted losses.
    pub fn are_valid(&self) -> bool {
        self.0.len() <= WINDOW && self.0.iter().all(|loss| loss.is_finite())
    }

    fn median(&self) -> Option<f64> {
        median(self.0.iter().copied().collect())
    }
}

/// A loss in a readable form, however large.
fn short(loss: f64) -> String {
    if loss.abs() < 1e4 {
        format!("{loss:.3}")
    } else {
        format!("{loss:.1e}")
    }
}

/// The middle value, the upper one of two.
fn median(mut values: Vec<f64>) -> Option<f64> {
    let middle = values.len() / 2;
    (!values.is_empty()).then(|| *values.select_nth_unstable_by(middle, f64::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;
    use candle_core::{DType, Device};

    /// Normal numbers around a course, each judged by those before it.
    fn judged(course: impl Fn(f64) -> f64, noise: f64) -> Result<Losses, Divergence> {
        let normal = random::normal(0, 20_000, DType::F64, &Device::Cpu).unwrap();
        let mut losses = Losses::default();
        for (step, z) in normal.to_vec1::<f64>().unwrap().into_iter().enumerate() {
            let loss = course(step as f64) + noise * z;
            losses.judge(loss, 1.0)?;
            losses.push(loss);
        }
        Ok(losses)
    }

    #[test]
    fn ordinary_noise_and_a_steep_start_are_no_divergence() {
        // The noise of batches of 32 digits up to that of single images.
        for noise in [0.03, 0.3, 1.0] {
            let start = |step: f64| 1.2 + 4.0 * (-step / 30.0).exp();
            assert!(judged(start, noise).is_ok(), "{noise}");
        }
    }

    #[test]
    fn what_is_not_finite_or_far_above_is_refused() {
        let losses = judged(|_| 1.2, 0.03).unwrap();
        for (loss, norm, cause) in [
            (f64::NAN, 1.0, Divergence::Loss),
            (f64::INFINITY, 1.0, Divergence::Loss),
            (1.2, f64::NAN, Divergence::Gradient),
            (1.2, f64::INFINITY, Divergence::Gradient),
        ] {
            assert_eq!(losses.judge(loss, norm), Err(cause));
        }
        assert!(losses.judge(3.1, 1.0).is_ok());
        let refused = losses.judge(3.4, 1.0);
        assert!(
            matches!(refused, Err(Divergence::Jump { loss: 3.4, usual }) if (usual - 1.2).abs() < 0.02),
            "{refused:?}"
        );
        // A loss may fall arbitrarily far.
        assert!(losses.judge(-100.0, 1e9).is_ok());
        // One outlier does not change the bound for the next.
        let mut losses = losses;
        losses.push(1e6);
        assert!(losses.judge(3.4, 1.0).is_err());
        assert_eq!(
            refused.unwrap_err().to_string().split(' ').next_back(),
            Some("dimension")
        );
    }

    #[test]
    fn the_first_losses_may_jump_further() {
        let mut losses = Losses::default();
        assert!(losses.judge(1e30, 1.0).is_ok());
        losses.push(5.0);
        assert!(losses.judge(20.0, 1.0).is_ok());
        assert!(losses.judge(22.0, 1.0).is_err());
    }

    #[test]
    fn a_state_on_its_way_up_is_not_usual() {
        let mut losses = Losses::default();
        assert!(losses.is_usual(7.0));
        (0..30).for_each(|_| losses.push(1.2));
        let climb = (1..40).map(|step| 1.2 + 0.02 * f64::from(step));
        for loss in climb {
            assert!(losses.judge(loss, 1.0).is_ok() && !losses.is_usual(loss));
            losses.push(loss);
        }
        assert!(losses.is_usual(1.2));
    }
}
