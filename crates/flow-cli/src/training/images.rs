//! The images of a training run, and the order in which it sees them.

use flow_data::{Batches, Dataset};
use flow_glow::{Portion, Progress, TrainSettings};

/// The images of a training run.
pub(crate) struct Images {
    /// What the model is fitted to.
    pub(crate) train: Dataset,
    /// What it is judged on at the end.
    pub(crate) test: Dataset,
    /// What it is judged on after each epoch.
    pub(crate) probe: Dataset,
    /// Whether training images are mirrored at random.
    pub(crate) flip: bool,
    /// The probability with which a value of theirs is replaced by noise.
    pub(crate) mutate: f64,
}

impl Images {
    /// A portion of each batch that is left of the epoch that is under way.
    pub(super) fn batches_left(
        &self,
        settings: &TrainSettings,
        progress: &Progress,
        portion: &Portion,
    ) -> impl Iterator<Item = flow_data::Result<flow_data::Batch>> {
        Batches::new(
            &self.train,
            settings.batch_size,
            settings.seed,
            progress.epoch,
        )
        .flipped(self.flip)
        .mutated(self.mutate)
        .part(portion.range())
        .skip(progress.batch as usize)
    }

    /// Moves on to the next batch.
    pub(super) fn pass_batch(&self, settings: &TrainSettings, progress: &mut Progress) {
        progress.batch += 1;
        if progress.batch == self.batches(settings) {
            progress.epoch += 1;
            progress.batch = 0;
        }
    }

    /// Steps in an epoch.
    pub(super) fn batches(&self, settings: &TrainSettings) -> u64 {
        (self.train.len() / settings.batch_size) as u64
    }
}
