//! Images on disk as u8 tensors: folders, archives, tables and arrays of any images, and the
//! published MNIST, Fashion-MNIST and CIFAR-10.
//!
//! A [`Dataset`] is one split, a byte per channel value (0–255), in memory or in a file. It hands
//! out batches: [`Batches`] shuffled by a seed for training, [`Dataset::in_order`] for evaluation.
//! It knows nothing of flows; images are `[B, C, H, W]`, labels `[B]`.
//!
//! Reading order: [`Location`] (a place as it is typed), [`collection`] (files as names, classes
//! and pictures), [`picture`] (any picture as pixels of one shape), [`prepare`](fn@prepare) (a
//! collection as data sets), then [`Dataset`] and [`Batches`]. Published data sets have their own
//! files: [`source`], [`idx`] and [`cifar10`]; [`numpy`] reads and writes tensors. The feature `hub`
//! adds the module `hub`, which downloads data sets; without it nothing here touches a network.
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
pub mod collection;
mod content;
mod dataset;
mod error;
#[cfg(feature = "hub")]
pub mod hub;
pub mod idx;
mod layout;
mod location;
mod malformed;
mod name;
pub mod numpy;
pub mod parquet;
pub mod picture;
mod pixels;
mod prepare;
mod progress;
pub mod source;
mod tensors;

pub use batches::Batches;
pub use dataset::{Batch, Dataset};
pub use error::{Error, Result};
pub use location::{HubName, Location};
pub use malformed::Malformed;
pub use name::{DatasetName, Split};
pub use prepare::{Formats, Preparation, Prepared, Survey, prepare};
pub use progress::{Progress, Stage, Watch};
