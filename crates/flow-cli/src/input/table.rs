//! CSV files with numbers of images.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use csv::{ReaderBuilder, StringRecord, Trim};

/// Names of the columns that say which image a row is about.
const KEYS: [&str; 2] = ["file", "index"];

/// A CSV file with a first line of names.
pub(crate) struct Table {
    names: StringRecord,
    records: Vec<StringRecord>,
}

impl Table {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let mut reader = ReaderBuilder::new().trim(Trim::All).from_path(path)?;
        let names = reader.headers()?.clone();
        let records = reader.records().collect::<csv::Result<_>>()?;
        Ok(Self { names, records })
    }

    /// The place of a column.
    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|candidate| candidate == name)
    }

    /// The place of the column `index`, if there is one.
    pub(crate) fn index(&self) -> Option<usize> {
        self.place("index")
    }

    /// The places of the columns that hold numbers of images.
    pub(crate) fn columns(&self) -> impl Iterator<Item = usize> {
        let names = self.names.iter().enumerate();
        names.filter_map(|(place, name)| (!KEYS.contains(&name)).then_some(place))
    }

    /// The name of a column.
    pub(crate) fn name(&self, place: usize) -> &str {
        &self.names[place]
    }

    /// The rows.
    pub(crate) fn records(&self) -> &[StringRecord] {
        &self.records
    }

    /// The number in a field, if it is not empty.
    pub(crate) fn number(&self, record: &StringRecord, place: usize) -> Result<Option<f64>> {
        let text = &record[place];
        if text.is_empty() {
            return Ok(None);
        }
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
        ensure!(
            number.is_some(),
            "line {} holds `{text}` in the column `{}`, which is not a number",
            line(record),
            self.name(place)
        );
        Ok(number)
    }
}

/// The place of an image in a field.
pub(crate) fn image(record: &StringRecord, place: usize) -> Result<usize> {
    let text = &record[place];
    text.parse()
        .with_context(|| format!("`{text}` is not an index"))
}

/// The line of the file in which a record stands.
pub(crate) fn line(record: &StringRecord) -> u64 {
    record.position().map_or(0, csv::Position::line)
}
