//! What a training file holds of the run, beside the trainer's own state.

use anyhow::{Context, Result, bail};
use flow_glow::Trainer;
use serde::{Deserialize, Serialize};

use super::{Images, Limits, images::Digests, metrics::Journal};
use crate::output::words;

/// Everything about a run that a resumed one must find again.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Notes {
    /// When it ends, which the learning rate follows.
    pub(crate) limits: Limits,
    /// How many training images there are, since their order depends on it.
    pub(crate) images: usize,
    /// The digests of training and test images; files of earlier versions have none.
    #[serde(default)]
    pub(crate) digests: Option<Digests>,
    /// Whether they are mirrored at random.
    pub(crate) flip: bool,
    /// The probability with which a value is replaced by noise.
    #[serde(default)]
    pub(crate) mutate: f64,
    /// How many test images are measured, if not all.
    #[serde(default)]
    pub(crate) eval_images: Option<usize>,
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

    /// An error if the training to be resumed saw other images than these.
    pub(crate) fn check_images(&self, images: &Images) -> Result<()> {
        let (count, name) = (images.train.len(), images.train.name());
        if count != self.images {
            bail!(
                "the training to resume was begun on {} of `{name}`, and here are {count}; name the folder \
                 of those with `--data-dir`",
                words::count(self.images, "image")
            );
        }
        let Some(digests) = &self.digests else {
            tracing::warn!(
                "the training to resume was saved without a digest of its images: whether they are \
                 these cannot be checked"
            );
            return Ok(());
        };
        if let Some(part) = digests.differ(&images.digests) {
            bail!(
                "the training to resume was begun with other {part} images of `{name}`: pixels, labels \
                 or their order differ; name the folder of those with `--data-dir`"
            );
        }
        Ok(())
    }
}
