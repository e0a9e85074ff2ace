//! A batch cut into runs of images that go through the model side by side; see [`flow_core::runs`].

pub(crate) use flow_core::runs::Rows as Run;

use crate::Result;
use candle_core::Device;
use flow_core::runs::{self, RunLength};

/// Largest number of images in a run of an accelerator. Launches dominate its time, so this only
/// bounds memory.
pub(crate) const RUN_OF_ACCELERATOR: usize = 256;

/// `work` on all runs of at most `length` images that make up `count`, in order. Runs of an
/// accelerator are longer.
pub(crate) fn in_runs<T: Send>(
    device: &Device,
    count: usize,
    length: usize,
    work: impl Fn(Run) -> Result<T> + Send + Sync,
) -> Result<Vec<T>> {
    let length = RunLength {
        host: length,
        even: true,
        accelerator: length.max(RUN_OF_ACCELERATOR),
    };
    runs::in_runs(device, count, length, work)
}

/// `work` on all of `items`, in order. On the CPU each thread takes one at a time.
pub(crate) fn side_by_side<T: Send, U: Send>(
    device: &Device,
    items: Vec<T>,
    work: impl Fn(T) -> Result<U> + Send + Sync,
) -> Result<Vec<U>> {
    runs::side_by_side(device, items, work)
}
