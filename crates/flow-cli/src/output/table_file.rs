//! A file for a table, in the format that its name asks for.

use std::path::Path;

use anyhow::Result;
use flow_table::{Format, Series, Writer};

use crate::output::files::{self, Output};

/// Extensions of the formats that can be written.
const EXTENSIONS: [&str; 2] = ["csv", "parquet"];

/// A table that is written chunk by chunk, and is at its place when it is whole.
pub(crate) struct TableFile(Writer<Output>);

impl TableFile {
    /// Begins a table of columns: their names, and values of the form that will follow. It is a
    /// Parquet file if the extension says so, CSV otherwise, and CSV on stdout without a path.
    ///
    /// # Errors
    /// If the extension is another one, or the file cannot be written.
    pub(crate) fn create(path: Option<&Path>, columns: &[(&str, Series)]) -> Result<Self> {
        let extension = path.map(|path| files::extension(path, &EXTENSIONS));
        let format = match extension.transpose()?.flatten() {
            Some("parquet") => Format::Parquet,
            _ => Format::Csv,
        };
        let output = path.map_or_else(|| Ok(Output::stdout()), Output::create)?;
        Ok(Self(Writer::new(output, format, columns)?))
    }

    /// Writes rows.
    pub(crate) fn write(&mut self, columns: &[Series]) -> Result<()> {
        Ok(self.0.write(columns)?)
    }

    /// Ends the table.
    pub(crate) fn finish(self) -> Result<()> {
        self.0.finish()?.finish()
    }
}
