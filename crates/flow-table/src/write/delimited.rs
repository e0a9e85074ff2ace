//! Text with commas between values.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use csv::{ErrorKind, Writer};

use crate::{Error, Result, Series};

pub(super) struct Delimited<W: Write> {
    writer: Writer<W>,
    /// Names that are still to be written: a command that fails at once writes nothing.
    names: Vec<String>,
    /// A value in text.
    text: String,
}

impl<W: Write> Delimited<W> {
    pub(super) fn new(out: W, columns: &[(&str, Series)]) -> Self {
        Self {
            writer: Writer::from_writer(out),
            names: columns.iter().map(|(name, _)| (*name).to_owned()).collect(),
            text: String::new(),
        }
    }

    fn write_names(&mut self) -> Result<()> {
        let names = std::mem::take(&mut self.names);
        if names.is_empty() {
            return Ok(());
        }
        self.writer.write_record(names).map_err(io)
    }

    pub(super) fn write(&mut self, columns: &[Series]) -> Result<()> {
        self.write_names()?;
        let rows = columns.iter().map(Series::len).min().unwrap_or(0);
        for row in 0..rows {
            for column in columns {
                self.field(column, row)?;
            }
            self.writer.write_record(None::<&[u8]>).map_err(io)?;
        }
        // A reader at the other end of a pipe sees whole chunks.
        Ok(self.writer.flush()?)
    }

    fn field(&mut self, column: &Series, row: usize) -> Result<()> {
        self.text.clear();
        let written = match column {
            // The fewest digits that give the same number again, and an exponent where it is short.
            Series::Float(values) => write!(self.text, "{:?}", values[row]),
            Series::Integer(values) => write!(self.text, "{}", values[row]),
            Series::Text(values) => return self.writer.write_field(&values[row]).map_err(io),
        };
        written.map_err(io::Error::other)?;
        self.writer.write_field(&self.text).map_err(io)
    }

    pub(super) fn finish(mut self) -> Result<W> {
        self.write_names()?;
        let out = self.writer.into_inner();
        Ok(out.map_err(csv::IntoInnerError::into_error)?)
    }
}

fn io(error: csv::Error) -> Error {
    Error::Write(match error.into_kind() {
        ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    })
}
