//! Batches that are refused: left out, undone, or the end of the training, and why.

use anyhow::{Result, bail};
use flow_core::train::Divergence;
use flow_data::Batch;
use flow_glow::{Fault, Shard};

use super::{Session, order::Order};

/// Images that a message names, of however many.
const NAMED_IMAGES: usize = 5;

impl Session<'_> {
    /// Goes back to the last good state and on with the next batch, or gives up.
    pub(super) fn roll_back(
        &mut self,
        cause: Divergence,
        batch: &Batch,
        shard: &Shard,
    ) -> Result<()> {
        // Two batches in a row were refused, and a lower learning rate changes nothing before the
        // first step.
        let unmoved = self.trainer.stands_where_it_was_good();
        if unmoved && cause.is_not_finite() {
            self.give_up(cause, batch, shard)?;
        }
        self.order(Order::RollBack)?;
        self.trainer.roll_back()?;
        let progress = self.trainer.progress;
        self.log.write_refused(&progress, true, cause)?;
        if progress.rollbacks > self.max_rollbacks {
            self.save()?;
            bail!(
                "training diverged again after {} rollbacks: {cause} after step {}; `{}` holds the last \
                 good state; {}",
                self.max_rollbacks,
                progress.step,
                self.folder.training().display(),
                self.advice(unmoved)
            );
        }
        tracing::warn!(
            "{cause} after step {}; going on from the last good state with {} of the learning rate \
             (rollback {} of {})",
            progress.step,
            progress.learning_rate_factor(),
            progress.rollbacks,
            self.max_rollbacks
        );
        self.pass_refused_batch()
    }

    /// The learning rate is at fault only where steps have moved the weights.
    fn advice(&self, unmoved: bool) -> String {
        if unmoved {
            return "no step has moved the weights since, so look at the last images".to_owned();
        }
        let lr = self.trainer.settings().optimization.learning_rate;
        format!("begin again with a lower `--lr` than {lr}")
    }

    /// Goes on with the next batch, whose loss will tell whether the weights are sound.
    pub(super) fn leave_out(
        &mut self,
        cause: Divergence,
        batch: &Batch,
        shard: &Shard,
    ) -> Result<()> {
        let progress = self.trainer.progress;
        self.log.write_refused(&progress, false, cause)?;
        let fault = if cause.is_not_finite() {
            self.fault(batch, shard)?
        } else {
            None
        };
        let fault = fault.map(|fault| format!(": {fault}")).unwrap_or_default();
        tracing::warn!(
            "{cause} after step {}{fault}; leaving out this batch",
            progress.step
        );
        self.pass_refused_batch()
    }

    /// The end of a training whose weights give no finite loss though no step has harmed them.
    fn give_up(&self, cause: Divergence, batch: &Batch, shard: &Shard) -> Result<()> {
        let fault = self.fault(batch, shard)?;
        bail!(
            "{cause} after step {}, on two batches in a row and with weights that no step has moved: {}; \
             another learning rate does not help, `flow verify {}` tells more",
            self.trainer.progress.step,
            fault.unwrap_or_else(|| "the images of another process are at fault".to_owned()),
            self.folder.model().display()
        )
    }

    /// The reason in words, with images by their places in the training set.
    fn fault(&self, batch: &Batch, shard: &Shard) -> Result<Option<String>> {
        let train = &self.images.train;
        let data = train.data(batch, self.trainer.config(), &self.device)?;
        let fault = self.trainer.find_fault(&data, shard)?;
        Ok(fault.map(|fault| match fault {
            Fault::Images { part, places } if places.len() == batch.indices.len() => {
                format!("no image of the batch is finite behind `{part}`")
            }
            Fault::Images { part, places } => {
                let named = places
                    .iter()
                    .take(NAMED_IMAGES)
                    .map(|&place| batch.indices[place].to_string());
                let named = named.collect::<Vec<_>>().join(", ");
                let more = if places.len() > NAMED_IMAGES {
                    ", …"
                } else {
                    ""
                };
                format!("training images {named}{more} (from 0) are not finite behind `{part}`")
            }
            fault => fault.to_string(),
        }))
    }

    fn pass_refused_batch(&mut self) -> Result<()> {
        // At the limit there is no next batch.
        if self.share() >= 1.0 {
            return self.order(Order::Again);
        }
        self.order(Order::Pass)?;
        self.trainer.progress.step += 1;
        self.pass_batch();
        Ok(())
    }
}
