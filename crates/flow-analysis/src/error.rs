//! Failures of an analysis.

/// `Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// The reason why an analysis has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input cannot be analyzed: it is empty, or its parts do not fit each other.
    #[error("{0}")]
    Input(String),
    /// The model or a tensor operation failed.
    #[error(transparent)]
    Model(#[from] flow_glow::Error),
}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Self::Model(error.into())
    }
}
