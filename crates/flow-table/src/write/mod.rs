//! Writing a table chunk by chunk.

mod delimited;
mod parquet;

use std::io::Write;

use crate::{Result, Series};

use delimited::Delimited;
use parquet::Parquet;

/// A format of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text with commas between values (RFC 4180), below a line of names.
    Csv,
    /// Parquet, compressed by Snappy, in a group of rows for each chunk.
    Parquet,
}

/// A table that is being written.
pub struct Writer<W: Write + Send>(Target<W>);

enum Target<W: Write + Send> {
    Csv(Box<Delimited<W>>),
    Parquet(Box<Parquet<W>>),
}

impl<W: Write + Send> Writer<W> {
    /// Begins a table of columns: their names, and values of the form that will follow.
    ///
    /// # Errors
    /// If `out` cannot be written.
    pub fn new(out: W, format: Format, columns: &[(&str, Series)]) -> Result<Self> {
        Ok(Self(match format {
            Format::Csv => Target::Csv(Box::new(Delimited::new(out, columns))),
            Format::Parquet => Target::Parquet(Box::new(Parquet::new(out, columns)?)),
        }))
    }

    /// Writes rows: as many values of each column, in their order.
    ///
    /// # Errors
    /// If they cannot be written, or are not of the columns that were announced.
    pub fn write(&mut self, columns: &[Series]) -> Result<()> {
        match &mut self.0 {
            Target::Csv(csv) => csv.write(columns),
            Target::Parquet(parquet) => parquet.write(columns),
        }
    }

    /// Ends the table, and gives back where it was written to.
    ///
    /// # Errors
    /// If the rest cannot be written.
    pub fn finish(self) -> Result<W> {
        match self.0 {
            Target::Csv(csv) => csv.finish(),
            Target::Parquet(parquet) => parquet.finish(),
        }
    }
}
