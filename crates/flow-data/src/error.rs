//! What can go wrong between a file on disk and a batch of tensors.

use std::{io, path::PathBuf};

use crate::DatasetName;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure, by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of the data set is not there: fetch it.
    #[error("`{path}` is missing; run `cargo xtask fetch {dataset}`")]
    Missing {
        /// The data set the file belongs to.
        dataset: DatasetName,
        /// Where the file was looked for.
        path: PathBuf,
    },
    /// A file is not what its name says: replace it.
    #[error("`{path}` {reason}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, as the rest of a sentence that starts with the path.
        reason: String,
    },
    /// A file could not be read.
    #[error("cannot read `{path}`")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A name that is none of the known ones.
    #[error("unknown {kind} `{name}`; expected {expected}")]
    Unknown {
        /// What the name should have been one of.
        kind: &'static str,
        /// The name that was given.
        name: String,
        /// The names there are.
        expected: &'static str,
    },
    /// An image was asked for that the data set does not have.
    #[error("no image {index} in a data set of {len}")]
    Index {
        /// The image asked for.
        index: usize,
        /// How many there are.
        len: usize,
    },
    /// A tensor could not be made.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}
