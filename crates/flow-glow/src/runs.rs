//! A batch cut into runs that go through the model side by side.
//!
//! On the CPU every thread takes a run through all of the model, and so the small operations between the
//! products are shared out too. An image's numbers do not depend on the run it is in.

use crate::Result;
use candle_core::{Device, Tensor};
use flow_core::device::is_host;
use rayon::prelude::*;
use std::ops::Range;

/// Images in a run of an accelerator, where what counts is how often an operation is launched: a bound on memory.
pub(crate) const RUN_OF_ACCELERATOR: usize = 256;

/// `work` on all runs of `length` images that make up `count`, in their order; of more on an accelerator.
pub(crate) fn in_runs<T: Send>(
    device: &Device,
    count: usize,
    length: usize,
    work: impl Fn(Run) -> Result<T> + Send + Sync,
) -> Result<Vec<T>> {
    let length = if is_host(device) {
        length
    } else {
        length.max(RUN_OF_ACCELERATOR)
    };
    let runs = (0..count)
        .step_by(length)
        .map(|start| Run(start..count.min(start + length)))
        .collect::<Vec<_>>();
    side_by_side(device, runs, work)
}

/// `work` on all of `items`, in their order; on the CPU each thread takes one at a time.
pub(crate) fn side_by_side<T: Send, U: Send>(
    device: &Device,
    items: Vec<T>,
    work: impl Fn(T) -> Result<U> + Send + Sync,
) -> Result<Vec<U>> {
    if is_host(device) {
        items.into_par_iter().map(work).collect()
    } else {
        items.into_iter().map(work).collect()
    }
}

/// Some images of a batch.
pub(crate) struct Run(Range<usize>);

impl Run {
    pub(crate) fn new(range: Range<usize>) -> Self {
        Self(range)
    }

    /// Their places.
    pub(crate) fn places(&self) -> Range<usize> {
        self.0.clone()
    }

    /// What `batch` `[B, …]` holds for these images.
    pub(crate) fn of(&self, batch: &Tensor) -> Result<Tensor> {
        Ok(batch.narrow(0, self.0.start, self.0.len())?)
    }
}
