//! A first pass over a table: its columns and their kinds.

use crate::{Cell, Choice, Error, Result, Rows, Schema, Table, choice::Chosen, guess::Seen};

/// The facts about a table that a flow is to be fitted to.
#[derive(Clone, Debug, PartialEq)]
pub struct Survey {
    /// The columns and their kinds.
    pub schema: Schema,
    /// Rows that have all values.
    pub rows: u64,
    /// Rows that are left out because a value is missing.
    pub dropped: u64,
    /// Columns that nobody named and that are left out, because all their values are the same.
    pub constant: Vec<String>,
}

impl Survey {
    /// Reads a table once, in memory that does not grow with its rows.
    ///
    /// # Errors
    /// If it cannot be read, has no rows or none without missing values, lacks a column, or has
    /// a value that is unsuitable. If a value is missing and these rows are not left out.
    pub fn of(table: &Table, choice: &Choice) -> Result<Self> {
        let head = table.open()?;
        let chosen = choice.of(&head)?;
        let mut rows = head.rows(&chosen.places)?;
        let mut seen = chosen
            .wanted
            .iter()
            .copied()
            .map(Seen::new)
            .collect::<Vec<_>>();
        let (mut count, mut dropped, mut missing) = (0, 0, None);
        while rows.advance()? {
            if let Some(column) = first_missing(&rows, seen.len()) {
                dropped += 1;
                missing.get_or_insert((rows.row(), column));
                continue;
            }
            count += 1;
            for (column, seen) in seen.iter_mut().enumerate() {
                seen.see(rows.cell(column), rows.row());
            }
        }
        if let (Some((row, column)), 0) = (missing, count) {
            let reason = "a value is missing, as in every row; name other columns with `--columns`";
            return Err(rows.fault_at(Some(row), column, reason.to_owned()));
        }
        if let (Some((row, column)), false) = (missing, choice.drop_missing) {
            let reason = format!(
                "a value is missing, in {dropped} of {} rows; `--drop-missing` leaves these out",
                count + dropped
            );
            return Err(rows.fault_at(Some(row), column, reason));
        }
        let whole = |reason: &str| Error::Table {
            table: table.name().to_owned(),
            reason: reason.to_owned(),
        };
        match count {
            0 => return Err(whole("has no rows below the names of its columns")),
            1 => {
                return Err(whole(
                    "has one row, and columns of one value have no density",
                ));
            }
            _ => {}
        }
        let is_named = |column| !choice.columns.is_empty() || column >= chosen.columns;
        let (schema, constant) = schema(&rows, seen, &chosen, is_named)?;
        if schema.columns.is_empty() {
            return Err(whole("has the same values in all rows"));
        }
        Ok(Self {
            schema,
            rows: count,
            dropped,
            constant,
        })
    }
}

/// The column in which a value of this row is missing.
pub(crate) fn first_missing(rows: &Rows, columns: usize) -> Option<usize> {
    (0..columns).find(|&column| rows.cell(column) == Cell::Missing)
}

fn schema(
    rows: &Rows,
    seen: Vec<Seen>,
    chosen: &Chosen,
    is_named: impl Fn(usize) -> bool,
) -> Result<(Schema, Vec<String>)> {
    let (mut schema, mut constant) = (Schema::default(), Vec::new());
    for (index, seen) in seen.into_iter().enumerate() {
        let name = rows.name(index);
        let fault = |row, reason| rows.fault_at(row, index, reason);
        let column = seen.column(name);
        match column.map_err(|found| fault(found.row, found.reason))? {
            Some(column) if index < chosen.columns => schema.columns.push(column),
            Some(column) => schema.given.push(column),
            None if is_named(index) => {
                let reason = "it has the same value in all rows; leave it out";
                return Err(fault(None, reason.to_owned()));
            }
            None => constant.push(name.to_owned()),
        }
    }
    Ok((schema, constant))
}
