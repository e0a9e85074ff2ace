//! Failures of an analysis.

use std::error::Error as StdError;

/// `Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// The reason why an analysis has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input is empty, or its parts do not fit each other.
    #[error("{0}")]
    Input(String),
    /// Latents that would have to be finite.
    #[error("{bad} of {all} images have no finite latents")]
    NonFiniteLatents {
        /// Images that have a latent that is not finite.
        bad: usize,
        /// All images.
        all: usize,
    },
    /// A numerical method found no result.
    #[error("{action}")]
    Method {
        /// The failure, as a sentence.
        action: &'static str,
        /// The reason.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The model or a tensor operation failed.
    #[error(transparent)]
    Model(#[from] flow_glow::Error),
}

impl Error {
    /// For `map_err` of a method that failed.
    pub(crate) fn of_method<E: StdError + Send + Sync + 'static>(
        action: &'static str,
    ) -> impl FnOnce(E) -> Self {
        move |error| Self::Method {
            action,
            source: error.into(),
        }
    }
}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Self::Model(error.into())
    }
}
