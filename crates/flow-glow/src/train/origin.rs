//! Training that begins with the weights of a trained model.

use super::trainer::Trainer;
use crate::checkpoint::Checkpoint;
use crate::config::{Dequantization, GlowConfig};
use crate::{Error, Result};
use flow_core::file::one_line;
use flow_core::transfer;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The model that a training began with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Its file, or the name of a bundled model.
    pub checkpoint: String,
    /// Name of its training data.
    pub dataset: String,
    /// Number of its training steps; `None` if another program trained it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
}

impl Trainer {
    /// Takes the weights of `checkpoint`, called `name` in the header. Call it once, on a fresh
    /// trainer, instead of [`initialize`](Self::initialize).
    ///
    /// The model may have classes or learned noise that the checkpoint lacks. Both leave the
    /// likelihood unchanged until they are trained, to 10⁻⁶: every class begins with the prior of
    /// the checkpoint, and the noise is uniform.
    ///
    /// # Errors
    /// [`Error::Config`] if the models differ in anything else but the preprocessing.
    pub fn begin_with(&mut self, checkpoint: &Checkpoint, name: &str) -> Result<()> {
        if checkpoint.header.model.extended(&self.config) != self.config {
            return Err(Error::Config(format!(
                "a training cannot begin with the weights of `{name}`: its configuration differs"
            )));
        }
        let weights: BTreeMap<_, _> = checkpoint.weights.vars().into_iter().collect();
        for (parameter, var) in self.state.params.vars() {
            // New parameters keep their initial value.
            if let Some(weight) = weights.get(&parameter) {
                var.set(&transfer::to_device(weight, &self.device)?)?;
            }
        }
        let trained = checkpoint.header.training.as_ref();
        self.origin = Some(Origin {
            checkpoint: one_line(name),
            dataset: checkpoint.header.dataset.clone(),
            steps: trained.map(|training| training.progress.step),
        });
        self.state.reset_average()
    }
}

impl GlowConfig {
    /// This model, plus what a training from its weights may add: the classes and learned noise of
    /// `asked` where it has none, and the preprocessing of `asked`.
    #[must_use]
    pub fn extended(&self, asked: &Self) -> Self {
        Self {
            preprocessing: asked.preprocessing.clone(),
            classes: self.classes.or(asked.classes),
            dequantization: match self.dequantization {
                Dequantization::Uniform => asked.dequantization,
                learned @ Dequantization::Variational { .. } => learned,
            },
            ..self.clone()
        }
    }
}
