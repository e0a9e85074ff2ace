//! Image data sets on disk as u8 tensors: MNIST, Fashion-MNIST, CIFAR-10.
//!
//! A [`Dataset`] holds one split in memory, a byte per channel value (0–255), and hands out
//! batches: [`Batches`] shuffled by a seed for training, [`Dataset::in_order`] for evaluation. It
//! knows nothing of flows; images are `[B, C, H, W]`, labels `[B]`.
//!
//! Reading order: [`source`] (which files there are, and where they may lie), [`idx`] and
//! [`cifar10`] (their formats), then [`Dataset`] and [`Batches`]. The feature `hub` adds the module
//! `hub`, which downloads the published data sets; without it nothing here touches a network.
//!
//! ```
//! use flow_data::{Batches, Dataset, Split};
//!
//! let dataset = Dataset::bundled(Split::Test)?;
//! assert_eq!(dataset.shape(), (1, 28, 28));
//!
//! let (seed, epoch) = (0, 0);
//! for batch in Batches::new(&dataset, 64, seed, epoch).take(2) {
//!     assert_eq!(batch?.images.dims(), [64, 1, 28, 28]);
//! }
//! # Ok::<(), flow_data::Error>(())
//! ```

mod batches;
pub mod cifar10;
mod content;
mod dataset;
mod error;
#[cfg(feature = "hub")]
pub mod hub;
pub mod idx;
mod layout;
mod name;
pub mod source;

pub use batches::Batches;
pub use dataset::{Batch, Dataset};
pub use error::{Error, Result};
pub use name::{DatasetName, Split};
