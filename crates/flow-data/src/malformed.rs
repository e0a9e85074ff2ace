//! A reason why a file or a picture cannot be read.

use std::error::Error;

/// A reason why a file or a picture cannot be read, in one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub(crate) String);

impl Malformed {
    pub(crate) fn new(reason: impl Error) -> Self {
        Self(reason.to_string())
    }
}

impl From<&str> for Malformed {
    fn from(reason: &str) -> Self {
        Self(reason.to_owned())
    }
}

impl From<String> for Malformed {
    fn from(reason: String) -> Self {
        Self(reason)
    }
}

/// Returns a [`Malformed`] of a formatted text unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err(format!($($text)+).into());
        }
    };
}
pub(crate) use ensure;
