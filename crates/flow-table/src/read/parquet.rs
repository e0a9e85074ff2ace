//! Columns of a Parquet file, side by side.

use std::{fs, io};

use flow_data::parquet::{Column, Table, Value, Values};

use super::Cell;
use crate::{Error, Place, Result};

/// The footer of a file.
pub(super) struct File {
    footer: Table,
    file: fs::File,
}

/// Columns of the file, and their values in the row that was read last.
pub(super) struct Columns {
    columns: Vec<Values<fs::File>>,
    row: Vec<Option<Text>>,
}

/// A value, with bytes as text.
enum Text {
    Number(f64),
    Text(String),
}

impl File {
    pub(super) fn open(table: &str, mut file: fs::File) -> Result<(Vec<String>, Self)> {
        let footer = Table::read(&mut file).map_err(|reason| Error::Table {
            table: table.to_owned(),
            reason: format!("cannot be read: {reason}"),
        })?;
        let name = |column: &Column| column.path().next().unwrap_or_default().to_owned();
        let mut names = footer.columns().iter().map(name).collect::<Vec<_>>();
        // Fields of a struct are one column.
        names.dedup();
        Ok((names, Self { footer, file }))
    }

    /// Opens columns, by their names and places.
    pub(super) fn columns<'a>(
        &self,
        table: &str,
        columns: impl Iterator<Item = (&'a String, &'a usize)>,
    ) -> Result<Columns> {
        let open = |(name, _): (&String, _)| {
            let fault = |reason: String| Error::Place {
                table: table.to_owned(),
                place: Place {
                    row: None,
                    column: Some(name.clone()),
                },
                reason,
            };
            let nested = "it holds lists, structs or a type other than numbers, texts and booleans; \
                          name other columns with `--columns`";
            let column = self.footer.column(&[name]).filter(|column| {
                column.holds_numbers()
                    || column.holds_floats()
                    || column.holds_booleans()
                    || column.holds_bytes()
            });
            let column = column.ok_or_else(|| fault(nested.to_owned()))?;
            let file = self.file.try_clone();
            let file = file.map_err(|error: io::Error| fault(error.to_string()))?;
            let values = Values::new(&self.footer, column, file);
            values.map_err(|reason| fault(reason.to_string()))
        };
        let columns = columns.map(open).collect::<Result<Vec<_>>>()?;
        let row = columns.iter().map(|_| None).collect();
        Ok(Columns { columns, row })
    }
}

impl Columns {
    /// Reads the next row; false at the end. An error has the number of its column.
    pub(super) fn advance(&mut self) -> Result<bool, (usize, String)> {
        for (index, (column, cell)) in self.columns.iter_mut().zip(&mut self.row).enumerate() {
            let Some(value) = column.next() else {
                return Ok(false);
            };
            let value = value.map_err(|reason| (index, reason.to_string()))?;
            *cell = value
                .map(text)
                .transpose()
                .map_err(|reason| (index, reason))?;
        }
        Ok(!self.columns.is_empty())
    }

    pub(super) fn cell(&self, column: usize) -> Cell<'_> {
        match &self.row[column] {
            None => Cell::Missing,
            Some(Text::Number(number)) => Cell::number_or_missing(*number),
            Some(Text::Text(text)) => Cell::of(text),
        }
    }
}

fn text(value: Value) -> Result<Text, String> {
    Ok(match value {
        Value::Number(number) => Text::Number(number as f64),
        Value::Float(number) => Text::Number(number),
        Value::Bytes(bytes) => {
            let text = String::from_utf8(bytes);
            Text::Text(text.map_err(|_| "it is not text in UTF-8".to_owned())?)
        }
    })
}
