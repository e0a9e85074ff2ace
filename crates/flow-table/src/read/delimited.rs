//! Text files of values with separators between them (RFC 4180).

use std::io::Read;

use csv::{ErrorKind, Position, Reader, ReaderBuilder, StringRecord};

use crate::{Error, Place, Result, Row, error::quoted};

/// Separators, the most usual first.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// The rows of a text file.
pub(super) struct Delimited {
    reader: Reader<Box<dyn Read>>,
    record: StringRecord,
}

/// The separator that the first line has most of, outside of quotes.
pub(crate) fn separator(start: &[u8]) -> u8 {
    let mut counts = [0; SEPARATORS.len()];
    let mut quoted = false;
    for byte in start {
        match byte {
            b'\n' if !quoted => break,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            byte => {
                let known = SEPARATORS.iter().position(|separator| separator == byte);
                if let Some(known) = known {
                    counts[known] += 1;
                }
            }
        }
    }
    let most = counts.iter().max().unwrap_or(&0);
    let found = counts.iter().position(|count| count == most);
    SEPARATORS[found.unwrap_or(0)]
}

impl Delimited {
    /// Reads the names of the columns.
    pub(super) fn open(
        table: &str,
        source: Box<dyn Read>,
        separator: u8,
    ) -> Result<(Vec<String>, Self)> {
        let mut reader = ReaderBuilder::new()
            .delimiter(separator)
            .from_reader(source);
        let names = reader.headers().map_err(|error| fault(table, error))?;
        let names = names.iter().map(|name| name.trim().to_owned());
        let names = names.collect::<Vec<_>>();
        if names.is_empty() {
            return Err(Error::Table {
                table: table.to_owned(),
                reason: "is empty".to_owned(),
            });
        }
        let is_number = |name: &String| name.parse::<f64>().is_ok();
        if names.iter().all(is_number) {
            let reason = format!(
                "its first line, with {}, has no names of columns; put a line of names above it",
                quoted(&names[0])
            );
            return Err(at(table, 1, reason));
        }
        let record = StringRecord::new();
        Ok((names, Self { reader, record }))
    }

    pub(super) fn advance(&mut self, table: &str) -> Result<bool> {
        let read = self.reader.read_record(&mut self.record);
        read.map_err(|error| fault(table, error))
    }

    pub(super) fn field(&self, place: usize) -> &str {
        &self.record[place]
    }

    pub(super) fn line(&self) -> u64 {
        self.record.position().map_or(0, Position::line)
    }
}

fn fault(table: &str, error: csv::Error) -> Error {
    let line = |pos: &Option<Position>| pos.as_ref().map_or(1, Position::line);
    match error.into_kind() {
        ErrorKind::Io(source) => Error::Io {
            table: table.to_owned(),
            source,
        },
        ErrorKind::Utf8 { pos, .. } => {
            let reason =
                "it is not text in UTF-8; convert the file, as by `iconv -f LATIN1 -t UTF-8`";
            at(table, line(&pos), reason.to_owned())
        }
        ErrorKind::UnequalLengths {
            pos,
            expected_len,
            len,
        } => {
            let values = if len == 1 { "value" } else { "values" };
            let reason = format!("{len} {values}, but the first line names {expected_len} columns");
            at(table, line(&pos), reason)
        }
        other => Error::Table {
            table: table.to_owned(),
            reason: format!("cannot be read as CSV: {other:?}"),
        },
    }
}

fn at(table: &str, line: u64, reason: String) -> Error {
    Error::Place {
        table: table.to_owned(),
        place: Place {
            row: Some(Row::Line(line)),
            column: None,
        },
        reason,
    }
}
