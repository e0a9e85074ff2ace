//! Errors of the libraries as Python's exceptions.

use std::fmt::Display;
use std::path::Path;

use pyo3::PyErr;
use pyo3::exceptions::{PyOSError, PyValueError};

/// A `ValueError` with the first line of `error`: a backtrace may follow it.
pub(crate) fn value(error: impl Display) -> PyErr {
    let text = error.to_string();
    PyValueError::new_err(text.lines().next().unwrap_or_default().to_owned())
}

/// An `OSError` of the system's, such as `FileNotFoundError`, or a `ValueError` for what a file
/// holds.
pub(crate) fn file(error: flow_core::file::Error) -> PyErr {
    match error {
        flow_core::file::Error::Io { path, source, .. } => system(&path, &source),
        error => value(error),
    }
}

/// The exception for an error of the operating system at `path`.
pub(crate) fn system(path: &Path, error: &std::io::Error) -> PyErr {
    match error.raw_os_error() {
        Some(number) => PyOSError::new_err((number, error.to_string(), path.to_owned())),
        None => PyOSError::new_err(format!("`{}`: {error}", path.display())),
    }
}
