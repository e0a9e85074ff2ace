//! Runs: a batch cut into rows that pass a model side by side.
//!
//! On the CPU every thread takes a run through the whole model. This parallelises the small
//! operations between the products, and memory grows with the run and not with the batch. A row's
//! numbers do not depend on its run.

use crate::device::is_host;
use candle_core::{Device, Tensor, bail};
use rayon::prelude::*;
use std::ops::Range;

/// Rows per run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunLength {
    /// Rows on the CPU, where each thread takes a run.
    pub host: usize,
    /// True if a batch on the CPU is cut evenly, into runs of at most `host` rows for all threads.
    /// That is for costly rows, such as images, whose bits do not depend on the rows beside them.
    pub even: bool,
    /// Rows on an accelerator, where launching an operation costs more than its arithmetic.
    pub accelerator: usize,
}

/// `work` on all runs that make up `count` rows, in order. An empty batch is one empty run.
///
/// # Errors
/// The first error of `work`.
pub fn in_runs<T: Send, E: Send>(
    device: &Device,
    count: usize,
    length: RunLength,
    work: impl Fn(Rows) -> Result<T, E> + Send + Sync,
) -> Result<Vec<T>, E> {
    side_by_side(device, runs(device, count, length), work)
}

/// The runs that make up `count` rows, in order. An empty batch is one empty run.
pub fn runs(device: &Device, count: usize, length: RunLength) -> Vec<Rows> {
    let length = length.on(device, count);
    (0..count.max(1))
        .step_by(length)
        .map(|start| Rows::new(start..count.min(start + length), count))
        .collect()
}

impl RunLength {
    /// The rows of a run, at least one, for a batch of `count`.
    fn on(self, device: &Device, count: usize) -> usize {
        let length = if !is_host(device) {
            self.accelerator
        } else if self.even {
            let threads = rayon::current_num_threads();
            let turns = count.div_ceil(self.host.max(1) * threads);
            count.div_ceil(turns.max(1) * threads)
        } else {
            self.host
        };
        length.max(1)
    }
}

/// `work` on all of `items`, in order; on the CPU each thread takes one at a time.
///
/// # Errors
/// The first error of `work`.
pub fn side_by_side<T: Send, U: Send, E: Send>(
    device: &Device,
    items: Vec<T>,
    work: impl Fn(T) -> Result<U, E> + Send + Sync,
) -> Result<Vec<U>, E> {
    // Handing over to another thread costs as much as some hundred rows.
    if is_host(device) && items.len() > 1 {
        items.into_par_iter().map(work).collect()
    } else {
        items.into_iter().map(work).collect()
    }
}

/// A contiguous range of the rows of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    range: Range<usize>,
    batch: usize,
}

impl Rows {
    /// The rows in `range` of a batch of `batch`.
    pub fn new(range: Range<usize>, batch: usize) -> Self {
        Self { range, batch }
    }

    /// All rows of a batch of `batch`.
    pub fn all(batch: usize) -> Self {
        Self::new(0..batch, batch)
    }

    /// Range of the rows in the batch.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// These rows of `tensor`, `[batch, …]`.
    ///
    /// # Errors
    /// If the tensor does not have the batch's number of rows.
    pub fn of(&self, tensor: &Tensor) -> candle_core::Result<Tensor> {
        match tensor.dims().first() {
            Some(&rows) if rows == self.batch => {
                tensor.narrow(0, self.range.start, self.range.len())
            }
            _ => bail!(
                "batch: got a tensor of shape {:?}, needed {} rows",
                tensor.dims(),
                self.batch
            ),
        }
    }

    /// These rows of `context`, `[batch, …]`; all of it if one row, `[1, …]`, serves every sample.
    ///
    /// # Errors
    /// If the context has another number of rows.
    pub fn of_context(&self, context: &Tensor) -> candle_core::Result<Tensor> {
        match context.dims().first() {
            Some(1) => Ok(context.clone()),
            Some(&rows) if rows == self.batch => self.of(context),
            _ => bail!(
                "context: got a tensor of shape {:?}, needed 1 row or one for each of {} samples",
                context.dims(),
                self.batch
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_runs_share_a_batch_among_threads() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build();
        pool.unwrap().install(|| {
            let lengths = |count, even| {
                let length = RunLength {
                    host: 32,
                    even,
                    accelerator: 256,
                };
                let runs = runs(&Device::Cpu, count, length);
                runs.iter().map(|run| run.range().len()).collect::<Vec<_>>()
            };
            assert_eq!(lengths(25, false), [25]);
            assert_eq!(lengths(25, true), [13, 12]);
            assert_eq!(lengths(100, false), [32, 32, 32, 4]);
            assert_eq!(lengths(100, true), [25, 25, 25, 25]);
            assert_eq!(lengths(64, true), [32, 32]);
            assert_eq!(lengths(65, true), [17, 17, 17, 14]);
            assert_eq!(lengths(1, true), [1]);
            assert_eq!(lengths(0, true), [0]);
        });
    }
}
