//! The kind of a column, from all of its values.

use std::collections::BTreeMap;

use crate::{
    Cell, Column, Kind, Row, Wanted,
    error::{listed, quoted},
    schema::LARGEST_INTEGER,
};

/// Levels of a category at most.
const MOST_LEVELS: usize = 256;

/// The smallest positive number whose logarithm is safe in 32 bits.
const SMALLEST_POSITIVE: f64 = 1e-30;

/// The least spread that numbers of 32 bits resolve, as a share of their size.
const LEAST_SPREAD: f64 = 1e-5;

/// Advice on numbers that hold commas.
const POINTS: &str = "write numbers with a point and without separators of thousands";

/// All that was seen of a column.
pub(crate) struct Seen {
    wanted: Option<Wanted>,
    numbers: Moments,
    whole: bool,
    /// Texts that are no numbers, or all of a category that is asked for.
    levels: BTreeMap<String, u64>,
    /// The first of the texts, and the first number that is unsuitable, with the reason.
    first_text: Option<(Row, String)>,
    unsuitable: Option<Fault>,
}

/// A fault of a column, in a row or in all.
pub(crate) struct Fault {
    pub(crate) row: Option<Row>,
    pub(crate) reason: String,
}

/// Mean and spread of numbers (Welford 1962).
#[derive(Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
    low: f64,
    high: f64,
}

impl Seen {
    pub(crate) fn new(wanted: Option<Wanted>) -> Self {
        Self {
            wanted,
            numbers: Moments::default(),
            whole: true,
            levels: BTreeMap::new(),
            first_text: None,
            unsuitable: None,
        }
    }

    /// Takes a value that is not missing.
    pub(crate) fn see(&mut self, cell: Cell<'_>, row: Row) {
        match cell.number() {
            Some(number) if self.wanted != Some(Wanted::Category) => {
                self.see_number(number, cell, row);
            }
            _ => self.see_text(cell, row),
        }
    }

    fn see_number(&mut self, number: f64, cell: Cell<'_>, row: Row) {
        let checked = match self.wanted {
            Some(Wanted::Bounded { low, high }) => Kind::Bounded { low, high }.check(number),
            _ => Kind::Real.check(number),
        };
        if let (Err(reason), None) = (checked, &self.unsuitable) {
            let reason = format!("{} {reason}", quoted(&cell.text()));
            self.unsuitable = Some(Fault {
                row: Some(row),
                reason,
            });
        }
        self.whole &= number.fract() == 0.0;
        self.numbers.add(number, 1.0);
    }

    fn see_text(&mut self, cell: Cell<'_>, row: Row) {
        let text = cell.text();
        if self.first_text.is_none() {
            self.first_text = Some((row, text.clone()));
        }
        let known = self.levels.len();
        if known <= MOST_LEVELS || self.levels.contains_key(&text) {
            *self.levels.entry(text).or_default() += 1;
        }
    }

    /// The column; nothing if all values are the same.
    pub(crate) fn column(self, name: &str) -> Result<Option<Column>, Fault> {
        let Some((row, text)) = self.first_text else {
            return self.numeric(name);
        };
        let is_mixed = self.numbers.count > 0.0;
        let wants_number = !matches!(self.wanted, None | Some(Wanted::Category));
        if is_mixed || wants_number {
            let others = if is_mixed {
                ", as other values of the column are"
            } else {
                ""
            };
            let advice = if has_commas(&text) {
                POINTS
            } else {
                "correct it, or take texts with `--categorical`"
            };
            let reason = format!("{} is not a number{others}; {advice}", quoted(&text));
            return Err(Fault {
                row: Some(row),
                reason,
            });
        }
        if has_commas(&text) && self.wanted.is_none() {
            let reason = format!(
                "{} is not a number; {POINTS}, or take texts with `--categorical`",
                quoted(&text)
            );
            return Err(Fault {
                row: Some(row),
                reason,
            });
        }
        if self.levels.len() > MOST_LEVELS {
            let examples = self.levels.into_keys().take(3).collect::<Vec<_>>();
            let reason = format!(
                "it holds more than {MOST_LEVELS} different texts, such as {}; write them as numbers, \
                 or name the other columns with `--columns`",
                listed(&examples)
            );
            return Err(Fault { row: None, reason });
        }
        if self.levels.len() == 1 {
            return Ok(None);
        }
        let mut indices = Moments::default();
        for (index, &count) in self.levels.values().enumerate() {
            indices.add(index as f64, count as f64);
        }
        let levels = self.levels.into_keys().collect();
        Ok(Some(indices.column(name, Kind::Category { levels })))
    }

    fn numeric(self, name: &str) -> Result<Option<Column>, Fault> {
        if let Some(fault) = self.unsuitable {
            return Err(fault);
        }
        let all = |reason| Err(Fault { row: None, reason });
        let Moments {
            low, high, mean, ..
        } = self.numbers;
        if low >= high {
            return Ok(None);
        }
        let kind = match self.wanted {
            Some(Wanted::Bounded { low, high }) => Kind::Bounded { low, high },
            Some(Wanted::Angle { period }) => {
                let start = if low < 0.0 { -period / 2.0 } else { 0.0 };
                if low < start || high > start + period {
                    return all(format!(
                        "its angles lie from {low:.3} to {high:.3}, not within one turn of {period:.3}; \
                         say how much a turn is, as in `--angle {name}=360`"
                    ));
                }
                Kind::Angle { low: start, period }
            }
            Some(Wanted::Real) => Kind::Real,
            _ if self.whole && low.abs().max(high.abs()) <= LARGEST_INTEGER => Kind::Integer,
            _ if low >= SMALLEST_POSITIVE => Kind::Positive,
            _ => Kind::Real,
        };
        let std = self.numbers.std();
        if std < LEAST_SPREAD * low.abs().max(high.abs()) && kind != Kind::Integer {
            return all(format!(
                "it varies by {std:.2e} around {mean:.6}, less than numbers of 32 bits resolve; \
                 subtract {mean:.0} first"
            ));
        }
        Ok(Some(self.numbers.column(name, kind)))
    }
}

/// True if a text is a number but for its commas.
fn has_commas(text: &str) -> bool {
    text.contains(',') && text.replace(',', "").parse::<f64>().is_ok()
}

impl Moments {
    fn add(&mut self, number: f64, count: f64) {
        if self.count == 0.0 {
            (self.low, self.high) = (number, number);
        }
        (self.low, self.high) = (self.low.min(number), self.high.max(number));
        self.count += count;
        let before = number - self.mean;
        self.mean += before * count / self.count;
        self.squares += before * (number - self.mean) * count;
    }

    fn std(&self) -> f64 {
        (self.squares / self.count).sqrt()
    }

    fn column(&self, name: &str, kind: Kind) -> Column {
        Column {
            name: name.to_owned(),
            kind,
            low: self.low,
            high: self.high,
            mean: self.mean,
            std: self.std(),
        }
    }
}
