//! The processes that train one model together, each on its share of every batch.

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

/// How much longer than this one another rank may take for its part of what they share.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the processes of a job say to each other. All of them make the same calls in the same order.
///
/// # Errors
/// Every method: [`Error::Ranks`](crate::Error::Ranks) if the others do not answer. The job is over then:
/// whoever gets it saves what there is to save and calls [`abort`](Self::abort).
pub trait Ranks {
    /// Which of them this one is, from 0.
    fn rank(&self) -> usize;

    /// How many they are.
    fn size(&self) -> usize;

    /// Where tensors must be that are added up.
    fn device(&self) -> &Device;

    /// Begins to add up `flat`, `[n]` in f32 and contiguous, over all ranks. It holds the same sum on each of
    /// them when [`finish_sums`](Self::finish_sums) returns, and nothing to be used before.
    fn begin_sum(&self, flat: &Tensor) -> Result<()>;

    /// Moves sums on that are under way, without waiting.
    fn advance(&self) -> Result<()>;

    /// Waits for all sums that were begun; for other ranks that are late no longer than `patience`, if there is
    /// such a limit.
    fn finish_sums(&self, patience: Option<Duration>) -> Result<()>;

    /// Rank 0's bytes, for everyone.
    fn broadcast(&self, bytes: &mut [u8]) -> Result<()>;

    /// Waits until all are here.
    fn barrier(&self) -> Result<()>;

    /// Ends all processes of the job, this one with `status`.
    fn abort(&self, status: i32) -> !;

    /// Whether there are no others, so that nothing needs to be said.
    fn is_alone(&self) -> bool {
        self.size() == 1
    }

    /// Whether this is the one that writes files and speaks to people.
    fn leads(&self) -> bool {
        self.rank() == 0
    }
}

/// How long a rank waits for the others that began when it `began`, and have about as much to do.
pub fn patience(began: Instant) -> Option<Duration> {
    Some(PATIENCE + began.elapsed())
}

/// The numbers of all ranks in one vector of `total`, of which this rank has those at `own`, bit by bit; no
/// two ranks have the same place.
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
    // A sum in which only one term is not zero, a byte in each float, loses nothing.
    let bytes = numbers.iter().flat_map(|number| number.to_le_bytes());
    let floats: Vec<f32> = bytes.map(f32::from).collect();
    let flat = Tensor::from_vec(floats, 8 * total, ranks.device())?;
    ranks.begin_sum(&flat)?;
    ranks.finish_sums(patience)?;
    let floats = flat.to_vec1::<f32>()?;
    let number = |bytes: &[f32; 8]| f64::from_le_bytes(bytes.map(|byte| byte as u8));
    Ok(floats.as_chunks().0.iter().map(number).collect())
}
