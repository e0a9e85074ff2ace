//! Errors, grouped by what the caller can do about them.

use flow_core::file;
use flow_core::train::Divergence;
use flow_core::train::Inversion;
use std::path::PathBuf;

/// `Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Errors of building, loading, training and using models.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The settings contradict each other or the data.
    #[error("{0}")]
    Config(String),
    /// A file is not a checkpoint of this program.
    #[error("`{}` is not a usable checkpoint: {reason}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// Description of the defect.
        reason: String,
    },
    /// A file does not hold tensors in the safetensors format.
    #[error("`{}` is not a usable file of tensors: {reason}", path.display())]
    Tensors {
        /// The file.
        path: PathBuf,
        /// Description of the defect.
        reason: String,
    },
    /// A tensor holds NaN or infinity where only finite numbers are valid.
    #[error("tensor `{name}` holds {value} at {index:?}")]
    NonFinite {
        /// The tensor.
        name: String,
        /// The first number that is not finite.
        value: f64,
        /// Index of that number.
        index: Vec<usize>,
    },
    /// Images with numbers that are not finite, which have no pixel values.
    #[error("{bad} of {all} images are not finite")]
    NonFiniteImages {
        /// Number of images that are not finite.
        bad: usize,
        /// Number of images.
        all: usize,
    },
    /// A file could not be read or written.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// Attempted action: "read" or "write".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// A training step would have harmed the model; the weights are unchanged.
    #[error("training diverged after step {step}: {cause}")]
    Diverged {
        /// Steps before the refused one.
        step: u64,
        /// Cause of the divergence.
        cause: Divergence,
    },
    /// The flow is too badly conditioned to be trained by inversion; the weights are unchanged.
    #[error(
        "after step {step}, inputs of level {} come back from its outputs with a relative error of {:.1e}, \
         beyond {:.0e}: the flow is too badly conditioned to be trained by inversion",
        inversion.level, inversion.error, Inversion::BOUND
    )]
    UnsoundInversion {
        /// Steps before the refused one.
        step: u64,
        /// Distance of the recovered inputs from the true ones.
        inversion: Inversion,
    },
    /// The processes of a job lost each other, or no longer agree.
    #[error("{0}")]
    Ranks(String),
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(candle_core::Error),
}

impl From<candle_core::Error> for Error {
    /// Leaves out the backtrace, which candle prints as part of the message.
    fn from(error: candle_core::Error) -> Self {
        match error {
            candle_core::Error::WithBacktrace { inner, .. } => Self::from(*inner),
            error => Self::Tensor(error),
        }
    }
}

impl From<file::Error> for Error {
    fn from(error: file::Error) -> Self {
        match error {
            file::Error::Unusable { path, reason } => Self::Checkpoint { path, reason },
            file::Error::Io {
                action,
                path,
                source,
            } => Self::Io {
                action,
                path,
                source,
            },
            file::Error::Tensor(error) => Self::from(error),
        }
    }
}
