//! Results on stdout, and the error of a failed command on stderr.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use anyhow::{Context, Error, Result, ensure};
use serde::Serialize;

use crate::process_group::AlreadyReported;

/// Prints a result as one JSON object.
pub(crate) fn json(value: &impl Serialize) -> Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// Prints named values, one a line, in two columns.
pub(crate) fn table(rows: &[(&str, String)]) -> Result<()> {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, value) in rows {
        writeln!(text, "{name:width$}  {value}")?;
    }
    print(&text)
}

/// Prints rows of cells, the first one on the left, the others on the right.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]]) -> Result<()> {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for row in rows {
        write!(text, "{:1$}", row[0], widths[0])?;
        for (cell, width) in row.iter().zip(widths).skip(1) {
            write!(text, "  {cell:>width$}")?;
        }
        writeln!(text)?;
    }
    print(&text)
}

/// Prints bytes to stdout.
pub(crate) fn bytes(content: &[u8]) -> Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(content).and_then(|()| stdout.flush());
    written.context("cannot write to stdout")
}

/// Fails at the end of a command if some of its results are not finite.
///
/// # Errors
/// Counts them, as `bad` of `all`, and says `what` is wrong with them.
pub(crate) fn ensure_finite(bad: usize, all: usize, what: &str) -> Result<()> {
    ensure!(bad == 0, "{bad} of {all} {what}");
    Ok(())
}

/// Prints the reason of a failure on stderr, always in one line. Ignores failures to print it.
pub(crate) fn failure(error: &Error) {
    if error.is::<AlreadyReported>() {
        return;
    }
    let line = format!("{error:#}").replace(char::is_control, " ");
    let _ = writeln!(io::stderr(), "error: {line}");
}

/// True if the reader of stdout has closed it, as `head` does. That is not a failure.
pub(crate) fn is_closed_pipe(error: &Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}

fn print(text: &str) -> Result<()> {
    bytes(text.as_bytes())
}
