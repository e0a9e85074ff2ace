//! Processes that train one model together, each on its share of every batch.

mod alone;
mod launch;
#[cfg(feature = "mpi")]
mod mpi;
#[cfg(feature = "nccl")]
mod nccl;
#[cfg(any(feature = "nccl", test))]
mod rendezvous;

pub use self::alone::Alone;
pub use self::launch::Launch;
#[cfg(feature = "mpi")]
pub use self::mpi::Mpi;
#[cfg(feature = "nccl")]
pub use self::nccl::Nccl;

use crate::Result;
use candle_core::{Device, Tensor};
use std::time::{Duration, Instant};

/// Extra time for another rank to finish its part of the shared work.
const PATIENCE: Duration = Duration::from_secs(20);

/// Communication between the processes of a job. All of them make the same calls in the same order.
///
/// # Errors
/// Every method fails with [`Error::Ranks`](crate::Error::Ranks) if the other ranks do not answer.
/// The job is over then: save what is left and call [`abort`](Self::abort).
pub trait Ranks {
    /// Rank of this process, from 0.
    fn rank(&self) -> usize;

    /// Number of processes.
    fn size(&self) -> usize;

    /// Device of the tensors that are summed.
    fn device(&self) -> &Device;

    /// Begins to sum `flat`, `[n]` in f32 and contiguous, over all ranks. When
    /// [`finish_sums`](Self::finish_sums) returns, `flat` holds the same sum on every rank. Do not
    /// use it before.
    fn begin_sum(&self, flat: &Tensor) -> Result<()>;

    /// Advances pending sums, without waiting.
    fn advance(&self) -> Result<()>;

    /// Waits for all pending sums, and for late ranks at most `patience`, if it is given.
    fn finish_sums(&self, patience: Option<Duration>) -> Result<()>;

    /// Sends rank 0's bytes to everyone.
    fn broadcast(&self, bytes: &mut [u8]) -> Result<()>;

    /// Waits until all ranks arrive.
    fn barrier(&self) -> Result<()>;

    /// Ends all processes of the job, this one with `status`.
    fn abort(&self, status: i32) -> !;

    /// True if this is the only process, so that nothing is communicated.
    fn is_alone(&self) -> bool {
        self.size() == 1
    }

    /// True for the rank that writes files and prints.
    fn leads(&self) -> bool {
        self.rank() == 0
    }
}

/// Time that a rank waits for the others, which began with it at `began` and have similar work.
pub fn patience(began: Instant) -> Option<Duration> {
    Some(PATIENCE + began.elapsed())
}

/// The numbers of all ranks in one vector of length `total`, bit by bit. This rank contributes
/// those at `own`; the ranges of the ranks are disjoint.
pub fn gather(
    ranks: &dyn Ranks,
    total: usize,
    own: impl IntoIterator<Item = (usize, f64)>,
    patience: Option<Duration>,
) -> Result<Vec<f64>> {
    let mut numbers = vec![0.0; total];
    for (place, number) in own {
        numbers[place] = number;
    }
    if ranks.is_alone() {
        return Ok(numbers);
    }
    // Sums of one byte per float with a single non-zero term lose nothing.
    let bytes = numbers.iter().flat_map(|number| number.to_le_bytes());
    let floats: Vec<f32> = bytes.map(f32::from).collect();
    let flat = Tensor::from_vec(floats, 8 * total, ranks.device())?;
    ranks.begin_sum(&flat)?;
    ranks.finish_sums(patience)?;
    let floats = flat.to_vec1::<f32>()?;
    let number = |bytes: &[f32; 8]| f64::from_le_bytes(bytes.map(|byte| byte as u8));
    Ok(floats.as_chunks().0.iter().map(number).collect())
}
