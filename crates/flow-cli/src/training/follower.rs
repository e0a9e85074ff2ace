//! The training loop of all ranks but the first: it computes, and follows the orders of rank 0.

use anyhow::Result;
use candle_core::Device;
use flow_analysis::likelihood;
use flow_data::Batch;
use flow_glow::{AllReduce, Error, Shard, Trainer};

use super::{Images, order::Order, results::NOISE};

/// A rank that writes nothing.
pub(crate) struct Follower<'a> {
    /// The model and its optimizer, as rank 0 has them.
    pub(crate) trainer: Trainer,
    /// Training and test images.
    pub(crate) images: &'a Images,
    /// The connection to the other ranks.
    pub(crate) all_reduce: AllReduce,
    /// The device of all tensors.
    pub(crate) device: Device,
}

impl Follower<'_> {
    /// Takes part until rank 0 ends it.
    pub(crate) fn run(mut self) -> Result<()> {
        let settings = self.trainer.settings().clone();
        let shard = Shard::of(self.all_reduce.ranks(), settings.batch_size);
        self.all_reduce.ranks().barrier()?;
        loop {
            let progress = self.trainer.progress;
            for batch in self.images.batches_left(&settings, &progress, &shard) {
                if !self.step(&batch?, &shard)? {
                    return Ok(());
                }
            }
        }
    }

    /// Takes a step. False if the training ends.
    fn step(&mut self, batch: &Batch, shard: &Shard) -> Result<bool> {
        let train = &self.images.train;
        let data = train.data(batch, self.trainer.config(), &self.device)?;
        loop {
            let gradient = self
                .trainer
                .shared_gradient(&data, shard, &mut self.all_reduce);
            let mut gradient = match gradient {
                // Rank 0 got the same result, and sends the next order.
                Err(Error::Diverged { .. } | Error::UnsoundInversion { .. }) => None,
                gradient => Some(gradient?),
            };
            loop {
                let ranks = self.all_reduce.ranks();
                match (Order::wait(ranks)?, gradient.take()) {
                    (Order::Apply(share), Some(gradient)) => {
                        self.trainer.apply(gradient, share)?;
                        self.pass_batch();
                        return Ok(true);
                    }
                    (Order::Pass, _) => {
                        self.trainer.progress.step += 1;
                        self.pass_batch();
                        return Ok(true);
                    }
                    (Order::Again | Order::Apply(_), _) => break,
                    (Order::End, _) => return Ok(false),
                    (Order::RollBack, _) => self.trainer.roll_back()?,
                    (Order::Compare, kept) => {
                        self.trainer.check_united(ranks)?;
                        gradient = kept;
                    }
                    (order @ (Order::Probe | Order::Test), kept) => {
                        let images = match order {
                            Order::Probe => &self.images.probe,
                            _ => &self.images.test,
                        };
                        let model = self.trainer.model()?;
                        let batches = images.batches(model.config());
                        likelihood::bits_per_dim(&model, batches, NOISE, ranks, |_| true)?;
                        gradient = kept;
                    }
                }
            }
        }
    }

    fn pass_batch(&mut self) {
        let settings = self.trainer.settings().clone();
        self.images
            .pass_batch(&settings, &mut self.trainer.progress);
    }
}
