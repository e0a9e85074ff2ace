//! Failures to draw.

/// `Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// The reason why there is no picture.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw the diagram: {0}")]
pub struct Error(Box<dyn std::error::Error + Send + Sync>);

impl Error {
    pub(crate) fn new(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<plotters::drawing::DrawingAreaErrorKind<E>>
    for Error
{
    fn from(cause: plotters::drawing::DrawingAreaErrorKind<E>) -> Self {
        Self::new(cause)
    }
}
