//! What a training file holds of the run, beside the trainer's own state.

use anyhow::{Context, Result, bail};
use flow_glow::Trainer;
use serde::{Deserialize, Serialize};

use super::{Limits, metrics::Journal};

/// Everything about a run that a resumed one must find again.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Notes {
    /// When it ends, which the learning rate follows.
    pub(crate) limits: Limits,
    /// How many training images there are, since their order depends on it.
    pub(crate) images: usize,
    /// Whether they are mirrored at random.
    pub(crate) flip: bool,
    /// The probability with which a value is replaced by noise.
    #[serde(default)]
    pub(crate) mutate: f64,
    /// Where `metrics.jsonl` stands.
    pub(crate) journal: Journal,
}

impl Notes {
    /// Reads what [`write`](Self::write) left in a training file.
    pub(crate) fn read(trainer: &Trainer) -> Result<Self> {
        Self::deserialize(&trainer.notes)
            .context("the training to resume was not begun by `flow train`")
    }

    /// Puts the notes into the next training file.
    pub(crate) fn write(&self, trainer: &mut Trainer) -> Result<()> {
        trainer.notes = serde_json::to_value(self)?;
        Ok(())
    }

    /// An error if the training to be resumed saw other images than there are now.
    pub(crate) fn check_images(&self, images: usize, dataset: &str) -> Result<()> {
        if images != self.images {
            bail!(
                "the training to resume was begun on {} images of `{dataset}`, and here are {images}; \
                 name the folder of those with `--data-dir`",
                self.images
            );
        }
        Ok(())
    }
}
