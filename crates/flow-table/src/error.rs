//! Failures to read or write a table.

use std::{fmt, io};

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The reason why a table cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read {table}")]
    Io {
        /// The file, in quotes, or standard input.
        table: String,
        /// The reason.
        source: io::Error,
    },
    /// The table as a whole is unsuitable.
    #[error("{table} {reason}")]
    Table {
        /// The file, in quotes, or standard input.
        table: String,
        /// The rest of a sentence that begins with the table.
        reason: String,
    },
    /// A row or a value is unsuitable.
    #[error("{table}, {place}: {reason}")]
    Place {
        /// The file, in quotes, or standard input.
        table: String,
        /// The place in the table.
        place: Place,
        /// The fault.
        reason: String,
    },
    /// A table cannot be written.
    #[error("cannot write the table")]
    Write(#[from] io::Error),
}

/// A place in a table: a row, a column, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The row.
    pub row: Option<Row>,
    /// The name of the column.
    pub column: Option<String>,
}

/// A row of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// The line of a text file in which it begins, from 1.
    Line(u64),
    /// Its number, from 1.
    Number(u64),
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Number(row) => write!(f, "row {row}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.row, &self.column) {
            (Some(row), Some(column)) => write!(f, "{row}, column {}", quoted(column)),
            (Some(row), None) => row.fmt(f),
            (None, Some(column)) => write!(f, "column {}", quoted(column)),
            (None, None) => f.write_str("somewhere"),
        }
    }
}

/// A text of a table in an error: in quotes, in one line, and not too long.
pub(crate) fn quoted(text: &str) -> String {
    const LETTERS: usize = 40;
    let mut shown = text.chars().take(LETTERS).collect::<String>();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("`{}`", shown.escape_debug())
}

/// Names in an error.
pub(crate) fn listed(names: &[String]) -> String {
    const NAMES: usize = 10;
    let shown = names.iter().take(NAMES).map(|name| quoted(name));
    let shown = shown.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES) {
        0 => shown,
        others => format!("{shown} and {others} more"),
    }
}
