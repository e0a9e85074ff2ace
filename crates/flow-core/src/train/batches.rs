//! Batches of an epoch, from memory or from elsewhere.

use super::{Data, FitSettings};
use crate::{Result, random};
use candle_core::bail;

/// Source of training data, batch by batch.
pub(super) trait Batches<'a> {
    /// The batches of an epoch, counted from 1, in an order of its own.
    fn epoch(&mut self, epoch: usize) -> Result<Box<dyn Iterator<Item = Result<Data>> + 'a>>;
}

/// Data in memory, shuffled for every epoch.
pub(super) struct Shuffled<'a> {
    pub(super) train: Data,
    pub(super) settings: &'a FitSettings,
}

impl<'a> Batches<'a> for Shuffled<'a> {
    fn epoch(&mut self, epoch: usize) -> Result<Box<dyn Iterator<Item = Result<Data>> + 'a>> {
        let seed = random::derive(self.settings.seed, &format!("epoch {epoch}"));
        let (shuffled, count) = (self.train.shuffled(seed)?, self.train.count()?);
        let size = self.settings.batch_size;
        let starts = (0..count).step_by(size);
        Ok(Box::new(starts.map(move |start| {
            shuffled.rows(start, size.min(count - start))
        })))
    }
}

/// Batches that a function gives.
pub(super) struct Streamed<F>(pub(super) F);

impl<'a, F: FnMut(usize) -> I, I: Iterator<Item = Result<Data>> + 'a> Batches<'a> for Streamed<F> {
    fn epoch(&mut self, epoch: usize) -> Result<Box<dyn Iterator<Item = Result<Data>> + 'a>> {
        let checked = move |(index, batch): (usize, Result<Data>)| {
            let batch = batch?;
            match batch.check() {
                Ok(()) => Ok(batch),
                Err(error) => bail!("batch {index} of epoch {epoch}: {error}"),
            }
        };
        Ok(Box::new((self.0)(epoch).enumerate().map(checked)))
    }
}
