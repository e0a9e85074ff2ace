//! What can go wrong, by what the caller can do about it.

use flow_core::train::Divergence;
use flow_core::train::Inversion;
use std::path::PathBuf;

/// `Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why a model could not be built, loaded, trained or used.
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
        /// What is wrong with it.
        reason: String,
    },
    /// A file does not hold tensors in the format safetensors.
    #[error("`{}` is not a usable file of tensors: {reason}", path.display())]
    Tensors {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A tensor holds a number that is not finite where only finite ones have a meaning.
    #[error("tensor `{name}` holds {value} at {index:?}")]
    NonFinite {
        /// The tensor.
        name: String,
        /// The first such number.
        value: f64,
        /// Its place.
        index: Vec<usize>,
    },
    /// Images that would have no pixels.
    #[error("{bad} of {all} images are not finite")]
    NonFiniteImages {
        /// How many hold a number that is not finite.
        bad: usize,
        /// How many there are.
        all: usize,
    },
    /// A file could not be read or written.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried: "read" or "write".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why the system refused.
        source: std::io::Error,
    },
    /// A training step would have harmed the model; the weights were left as they were.
    #[error("training diverged after step {step}: {cause}")]
    Diverged {
        /// Steps before the one that was refused.
        step: u64,
        /// What was wrong with it.
        cause: Divergence,
    },
    /// The flow is too badly conditioned to be trained by inversion; the weights were left as they were.
    #[error(
        "after step {step}, inputs of level {} come back from its outputs with a relative error of {:.1e}, \
         beyond {:.0e}: the flow is too badly conditioned to be trained by inversion",
        inversion.level, inversion.error, Inversion::BOUND
    )]
    UnsoundInversion {
        /// Steps before the one that was refused.
        step: u64,
        /// How far they lay from the true ones.
        inversion: Inversion,
    },
    /// The processes of a job have lost each other, or no longer agree.
    #[error("{0}")]
    Ranks(String),
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(candle_core::Error),
}

impl From<candle_core::Error> for Error {
    /// Leaves out the backtrace, which candle prints as part of the message where one is captured.
    fn from(error: candle_core::Error) -> Self {
        match error {
            candle_core::Error::WithBacktrace { inner, .. } => Self::from(*inner),
            error => Self::Tensor(error),
        }
    }
}
