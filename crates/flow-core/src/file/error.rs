//! Errors of files.

use std::path::PathBuf;

/// Errors of reading and writing files of tensors.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not of the expected format, or refused.
    #[error("`{}` is not a usable file of a flow: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Description of the defect.
        reason: String,
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
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// So that `?` works where candle's errors are returned.
impl From<Error> for candle_core::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Tensor(error) => error,
            error => Self::wrap(error),
        }
    }
}
