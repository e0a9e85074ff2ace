//! Reading a table row by row.

mod delimited;
mod parquet;

use crate::{
    Error, Place, Result, Row,
    error::{listed, quoted},
};

use delimited::Delimited;
pub(crate) use delimited::separator;
use parquet::Columns;

/// Texts of a value that is missing, in letters of either case.
const MISSING: [&str; 6] = ["", "na", "n/a", "nan", "null", "none"];

/// An open table and the names of its columns.
pub struct Head {
    table: String,
    names: Vec<String>,
    source: Source,
}

enum Source {
    Delimited(Delimited),
    Parquet(parquet::File),
}

/// The rows of a table, one at a time.
pub struct Rows {
    table: String,
    names: Vec<String>,
    content: Content,
    /// Rows that were read.
    count: u64,
}

enum Content {
    /// The text file, and the place of each column in it.
    Delimited(Delimited, Vec<usize>),
    Parquet(Columns),
}

/// A value of a table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// No value.
    Missing,
    /// A number.
    Number(f64),
    /// A text that is no number, or a number as written.
    Text(&'a str),
}

pub(crate) fn delimited(
    table: &str,
    source: Box<dyn std::io::Read>,
    separator: u8,
) -> Result<Head> {
    let (names, reader) = Delimited::open(table, source, separator)?;
    Ok(Head {
        table: table.to_owned(),
        names,
        source: Source::Delimited(reader),
    })
}

pub(crate) fn parquet(table: &str, file: std::fs::File) -> Result<Head> {
    let (names, file) = parquet::File::open(table, file)?;
    Ok(Head {
        table: table.to_owned(),
        names,
        source: Source::Parquet(file),
    })
}

impl Head {
    /// The names of all columns.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The place of each of some columns.
    ///
    /// # Errors
    /// If the table has no such column, or two.
    pub fn places<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<Vec<usize>> {
        names.into_iter().map(|name| self.place(name)).collect()
    }

    fn place(&self, name: &str) -> Result<usize> {
        let places = self.names.iter().enumerate();
        let mut places = places.filter_map(|(place, found)| (found == name).then_some(place));
        let reason = match (places.next(), places.next()) {
            (Some(place), None) => return Ok(place),
            (Some(_), Some(_)) => format!("has two columns {}", quoted(name)),
            (None, _) => format!(
                "has no column {}; it has {}",
                quoted(name),
                listed(&self.names)
            ),
        };
        Err(self.fault(reason))
    }

    /// The rows of the columns at some places.
    ///
    /// # Errors
    /// If a column cannot be read.
    pub fn rows(self, places: &[usize]) -> Result<Rows> {
        let names = places.iter().map(|&place| self.names[place].clone());
        let names = names.collect::<Vec<_>>();
        let content = match self.source {
            Source::Delimited(reader) => Content::Delimited(reader, places.to_vec()),
            Source::Parquet(file) => {
                Content::Parquet(file.columns(&self.table, names.iter().zip(places))?)
            }
        };
        Ok(Rows {
            table: self.table,
            names,
            content,
            count: 0,
        })
    }

    pub(crate) fn fault(&self, reason: String) -> Error {
        Error::Table {
            table: self.table.clone(),
            reason,
        }
    }
}

impl Rows {
    /// Reads the next row; false behind the last one.
    ///
    /// # Errors
    /// If the row is damaged or has more or fewer values than there are columns.
    pub fn advance(&mut self) -> Result<bool> {
        let found = match &mut self.content {
            Content::Delimited(reader, _) => reader.advance(&self.table)?,
            Content::Parquet(columns) => {
                let found = columns.advance();
                let row = Some(Row::Number(self.count + 1));
                found.map_err(|(column, reason)| self.fault_at(row, column, reason))?
            }
        };
        self.count += u64::from(found);
        Ok(found)
    }

    /// The value of a column in this row.
    pub fn cell(&self, column: usize) -> Cell<'_> {
        match &self.content {
            Content::Delimited(reader, places) => Cell::of(reader.field(places[column])),
            Content::Parquet(columns) => columns.cell(column),
        }
    }

    /// The number of this row, from 1.
    pub fn number(&self) -> u64 {
        self.count
    }

    /// This row as it is found in the file.
    pub fn row(&self) -> Row {
        match &self.content {
            Content::Delimited(reader, _) => Row::Line(reader.line()),
            Content::Parquet(_) => Row::Number(self.count),
        }
    }

    /// The name of a column.
    pub fn name(&self, column: usize) -> &str {
        &self.names[column]
    }

    /// The error of a value of this row.
    pub fn fault(&self, column: usize, reason: String) -> Error {
        self.fault_at(Some(self.row()), column, reason)
    }

    /// The error of a value of any row, or of all.
    pub(crate) fn fault_at(&self, row: Option<Row>, column: usize, reason: String) -> Error {
        Error::Place {
            table: self.table.clone(),
            place: Place {
                row,
                column: Some(self.names[column].clone()),
            },
            reason,
        }
    }
}

impl<'a> Cell<'a> {
    /// A text of a file.
    fn of(text: &'a str) -> Self {
        let text = text.trim();
        let is_missing = |word: &&str| text.eq_ignore_ascii_case(word);
        if MISSING.iter().any(is_missing) {
            Self::Missing
        } else {
            Self::Text(text)
        }
    }

    /// A number that is missing where it is not a number.
    fn number_or_missing(number: f64) -> Self {
        if number.is_nan() {
            Self::Missing
        } else {
            Self::Number(number)
        }
    }

    /// The number that it holds, which may be infinite.
    pub fn number(self) -> Option<f64> {
        match self {
            Self::Missing => None,
            Self::Number(number) => Some(number),
            Self::Text(text) => text.parse().ok(),
        }
    }

    /// The value as it is written.
    pub fn text(self) -> String {
        match self {
            Self::Missing => String::new(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.to_owned(),
        }
    }
}
