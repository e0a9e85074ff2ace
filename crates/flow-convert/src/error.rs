//! Errors of conversion.

/// `Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// A file, model or setting that cannot be converted. Its text is one line that names the file and,
/// if there is one, the tensor or setting.
#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
pub struct Error(pub(crate) anyhow::Error);
