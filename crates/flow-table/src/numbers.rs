//! Rows of a table as numbers.

use std::collections::HashMap;

use crate::{
    Cell, Column, Kind, Result, Rows, Schema, Table,
    error::{listed, quoted},
    survey::first_missing,
};

/// The rows of a table as numbers, in chunks.
pub struct Numbers<'a> {
    rows: Rows,
    schema: &'a Schema,
    /// The index of each level, for categories.
    levels: Vec<HashMap<&'a str, usize>>,
    drop_missing: bool,
    dropped: u64,
}

/// Some rows of a table as numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chunk {
    /// The number of each row in the table, from 1.
    pub rows: Vec<u64>,
    /// Numbers of the modelled columns `[N, D]`, row by row; of a category, the index of its level.
    pub values: Vec<f64>,
    /// The context `[N, K]`, row by row; empty if no column is given.
    pub given: Vec<f64>,
}

impl Chunk {
    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The modelled columns of a row, by its place in the chunk.
    pub fn row(&self, place: usize) -> &[f64] {
        self.part(&self.values, place)
    }

    /// The context of a row, by its place in the chunk; empty if no column is given.
    pub fn context(&self, place: usize) -> &[f64] {
        self.part(&self.given, place)
    }

    fn part<'a>(&self, numbers: &'a [f64], place: usize) -> &'a [f64] {
        let width = numbers.len() / self.len().max(1);
        &numbers[place * width..(place + 1) * width]
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl<'a> Numbers<'a> {
    /// The columns of a schema in a table, which may have others.
    ///
    /// # Errors
    /// If the table cannot be read, or lacks a column.
    pub fn of(table: &Table, schema: &'a Schema, drop_missing: bool) -> Result<Self> {
        let head = table.open()?;
        let columns = || schema.columns.iter().chain(&schema.given);
        let places = head.places(columns().map(|column| column.name.as_str()))?;
        Ok(Self {
            rows: head.rows(&places)?,
            schema,
            levels: columns().map(levels).collect(),
            drop_missing,
            dropped: 0,
        })
    }

    /// The next rows, at most `most`; nothing behind the last one.
    ///
    /// # Errors
    /// If a row is damaged, or a value is missing or not of its column's kind.
    pub fn next_chunk(&mut self, most: usize) -> Result<Option<Chunk>> {
        let mut chunk = Chunk::default();
        let columns = self.schema.columns.len();
        while chunk.len() < most && self.rows.advance()? {
            let missing = first_missing(&self.rows, self.levels.len());
            match missing {
                Some(_) if self.drop_missing => {
                    self.dropped += 1;
                    continue;
                }
                Some(column) => {
                    let reason = "a value is missing; `--drop-missing` leaves such rows out";
                    return Err(self.rows.fault(column, reason.to_owned()));
                }
                None => {}
            }
            for (index, column) in self.schema.columns.iter().enumerate() {
                chunk.values.push(self.value(index, column)?);
            }
            for (index, column) in self.schema.given.iter().enumerate() {
                let value = self.value(columns + index, column)?;
                chunk.given.extend(column.context(value));
            }
            chunk.rows.push(self.rows.number());
        }
        Ok((!chunk.is_empty()).then_some(chunk))
    }

    /// Rows that were left out so far because a value was missing.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn value(&self, place: usize, column: &Column) -> Result<f64> {
        let cell = self.rows.cell(place);
        value(cell, column, &self.levels[place]).map_err(|reason| self.rows.fault(place, reason))
    }
}

impl Column {
    /// The number that stands for a value as it is typed.
    ///
    /// # Errors
    /// The reason why it is not of the column's kind.
    pub fn parse(&self, text: &str) -> Result<f64, String> {
        value(Cell::Text(text), self, &levels(self))
    }
}

/// The index of each level of a category.
fn levels(column: &Column) -> HashMap<&str, usize> {
    let levels = match &column.kind {
        Kind::Category { levels } => levels.as_slice(),
        _ => &[],
    };
    let levels = levels.iter().enumerate();
    levels
        .map(|(index, level)| (level.as_str(), index))
        .collect()
}

/// The number that stands for a cell.
fn value(cell: Cell<'_>, column: &Column, levels: &HashMap<&str, usize>) -> Result<f64, String> {
    if let Kind::Category { levels: all } = &column.kind {
        let text = cell.text();
        return levels
            .get(text.as_str())
            .map(|&index| index as f64)
            .ok_or_else(|| {
                let (text, all) = (quoted(&text), listed(all));
                format!("{text} is not among the values that the model was fitted to: {all}")
            });
    }
    let number = cell.number();
    let number = number.ok_or_else(|| format!("{} is not a number", quoted(&cell.text())))?;
    let checked = column.kind.check(number);
    checked.map_err(|reason| format!("{} {reason}", quoted(&cell.text())))
}
