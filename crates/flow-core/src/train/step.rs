//! One training step: checked, clipped, taken and counted.

use super::guard::{Divergence, Losses};
use super::{Optimization, StateStore, Update};
use crate::params::ParamStore;
use crate::{Gradients, Result, transfer};
use candle_core::{Error, Tensor};

/// A loss at the present weights, and its gradient.
pub struct LossGradient {
    /// The loss.
    pub loss: f64,
    /// Norm of the gradient over all parameters.
    pub norm: f64,
    /// The gradient.
    pub gradients: Gradients,
}

impl LossGradient {
    /// The gradient of the scalar `loss`, as [`Gradients::of`] takes it.
    pub fn of(loss: &Tensor, params: &ParamStore) -> Result<Self> {
        Self::new(transfer::scalar(loss)?, Gradients::of(loss, params)?)
    }

    /// The gradient with its norm.
    pub fn new(loss: f64, gradients: Gradients) -> Result<Self> {
        let norm = gradients.global_norm()?;
        Ok(Self {
            loss,
            norm,
            gradients,
        })
    }
}

/// Steps taken: their number and the last losses.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct Steps {
    /// Updates of the weights.
    pub updates: u64,
    /// The last losses.
    pub losses: Losses,
}

impl Steps {
    /// Updates the weights by the clipped `gradient`, and their averages and moments in `store`.
    /// `learning_rate` is that of [`Optimization::learning_rate_at`], which follows the schedule,
    /// unless a loop lowers it.
    ///
    /// # Errors
    /// If loss, gradient or rate is not finite, or a setting is invalid, in which case nothing
    /// changes. If the store fails.
    pub fn take<S: StateStore>(
        &mut self,
        gradient: &LossGradient,
        learning_rate: f64,
        settings: &Optimization,
        store: &mut S,
    ) -> std::result::Result<(), S::Error> {
        settings.check()?;
        Divergence::check_finite(gradient.loss, gradient.norm).map_err(Error::wrap)?;
        if !(learning_rate >= 0.0 && learning_rate.is_finite()) {
            let name = "training: the learning rate of a step";
            let message = format!("{name} must be at least 0 and finite, not {learning_rate}");
            return Err(Error::msg(message).into());
        }
        let update = Update {
            optimizer: settings.optimizer,
            step: self.updates,
            learning_rate,
            weight_decay: settings.weight_decay,
            gradient_scale: (settings.clip_norm / gradient.norm).min(1.0),
            average_decay: settings.average_decay_at(self.updates),
        };
        update.apply(&gradient.gradients, store)?;
        self.updates += 1;
        self.losses.push(gradient.loss);
        Ok(())
    }
}
