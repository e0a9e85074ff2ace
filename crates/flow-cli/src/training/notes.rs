//! The part of a training file that is about the run, beside the trainer's own state.

use anyhow::{Context, Result, bail};
use flow_glow::Trainer;
use serde::{Deserialize, Serialize};

use super::{Images, Limits, images::Digests, metrics::Journal};
use crate::output::words;

/// Facts of a run that a resumed run needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Notes {
    /// Limits of the run, which the learning rate follows.
    pub(crate) limits: Limits,
    /// The number of training images, since their order depends on it.
    pub(crate) images: usize,
    /// Digests of training and test images; files of earlier versions lack them.
    #[serde(default)]
    pub(crate) digests: Option<Digests>,
    /// Training images are mirrored at random.
    pub(crate) flip: bool,
    /// The probability that noise replaces a value.
    #[serde(default)]
    pub(crate) mutate: f64,
    /// The number of test images to measure, if not all.
    #[serde(default)]
    pub(crate) eval_images: Option<usize>,
    /// The position in `metrics.jsonl`.
    pub(crate) journal: Journal,
}

impl Notes {
    /// Reads the notes that [`write`](Self::write) put into a training file.
    pub(crate) fn read(trainer: &Trainer) -> Result<Self> {
        Self::deserialize(&trainer.notes)
            .context("the training to resume was not begun by `flow train`")
    }

    /// Puts the notes into the next training file.
    pub(crate) fn write(&self, trainer: &mut Trainer) -> Result<()> {
        trainer.notes = serde_json::to_value(self)?;
        Ok(())
    }

    /// Checks that the training to be resumed saw these images.
    pub(crate) fn check_images(&self, images: &Images) -> Result<()> {
        let (count, name) = (images.train.len(), images.train.name());
        if count != self.images {
            bail!(
                "the training to resume was begun on {} of `{name}`, and here are {count}; bring those \
                 back, or name their folder with `--data-dir`",
                words::count(self.images, "image")
            );
        }
        let Some(digests) = &self.digests else {
            tracing::warn!(
                "the training to resume was saved without a digest of its images: these images \
                 cannot be compared with it"
            );
            return Ok(());
        };
        if digests.differ_in_condition(&images.digests) {
            bail!(
                "the training to resume was begun with other numbers in `--condition` or `--test-condition`, \
                 or in another order; name the files of those"
            );
        }
        if let Some(part) = digests.differ(&images.digests) {
            bail!(
                "the training to resume was begun with other {part} images of `{name}`: pixels, labels \
                 or their order differ; bring those back, or name their \
                 folder with `--data-dir`"
            );
        }
        Ok(())
    }
}
