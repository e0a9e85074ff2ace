//! The values of a page.
//!
//! ```text
//! data         length of levels in 4 bytes, levels (of columns with nulls); then plain values,
//!              or a byte for the bits of an index, and indices into the dictionary
//! ```
//!
//! Numbers are little-endian; levels and indices are in runs. Pages of the second version have
//! their levels beside the data.

use std::vec;

use crate::malformed::{Malformed, ensure};

use super::{
    footer::Chunk,
    pages::Page,
    runs,
    schema::{BOOLEAN, BYTE_ARRAY, Column, DOUBLE, FLOAT, INT32, INT64},
};

/// Encodings. The dictionary's has an old number and a new one.
const PLAIN: i64 = 0;
const BY_DICTIONARY: [i64; 2] = [2, 8];
const RUNS: i64 = 3;

/// A value of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// An integer; 1 or 0 for true and false.
    Number(i64),
    /// A floating-point number.
    Float(f64),
    /// A text or other bytes.
    Bytes(Vec<u8>),
}

/// The rest of a page.
#[derive(Default)]
pub(super) struct Data {
    /// Values that are still to come, nulls included.
    left: usize,
    /// Levels of these; nothing if none is null.
    levels: Option<vec::IntoIter<u32>>,
    /// Indices into the dictionary, or true and false; nothing if values are plain.
    indices: Option<vec::IntoIter<u32>>,
    /// Plain values.
    bytes: Vec<u8>,
    at: usize,
}

impl Data {
    pub(super) fn of(page: Page, chunk: &Chunk, column: &Column) -> Result<Self, Malformed> {
        let (encoding, level_encoding) = (page.header.encoding, page.header.level_encoding);
        let left = page.values()?;
        let content = page.content(chunk)?;
        let mut bytes = &content.values[..];
        let mut levels = None;
        if column.level > 0 {
            let broken = "the levels of a page are broken";
            let stored = if let Some(levels) = &content.levels {
                levels
            } else {
                let of_runs = level_encoding == RUNS;
                ensure!(of_runs, "the levels of a page are not encoded in runs");
                plain(&mut bytes, BYTE_ARRAY).ok_or(broken)?
            };
            let width = (u8::BITS - column.level.leading_zeros()) as u8;
            levels = Some(runs::read(stored, width, left).ok_or(broken)?);
        }
        let is_there = |level: &&u32| **level == u32::from(column.level);
        let present = levels.as_ref();
        let present = present.map_or(left, |levels| levels.iter().filter(is_there).count());
        let indices = indices(encoding, column.kind, bytes, present)?;
        Ok(Self {
            left,
            levels: levels.map(Vec::into_iter),
            indices: indices.map(Vec::into_iter),
            at: content.values.len() - bytes.len(),
            bytes: content.values,
        })
    }

    /// Values that are still to come, nulls included.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    pub(super) fn next(
        &mut self,
        dictionary: Option<&Dictionary>,
        column: &Column,
    ) -> Result<Option<Value>, Malformed> {
        self.left -= 1;
        let level = self.levels.as_mut().and_then(Iterator::next);
        if level.is_some_and(|level| level != u32::from(column.level)) {
            return Ok(None);
        }
        let kind = column.kind;
        let value = if let Some(indices) = &mut self.indices {
            let index = indices.next();
            if kind == BOOLEAN {
                return Ok(index.map(|bit| Value::Number(bit.into())));
            }
            let dictionary = dictionary.ok_or("a column has no dictionary")?;
            let value = index.and_then(|index| dictionary.get(index, kind));
            value.ok_or("a value is not in the dictionary")?
        } else {
            let mut rest = &self.bytes[self.at..];
            let value = plain(&mut rest, kind).ok_or("a page ends within its values")?;
            self.at = self.bytes.len() - rest.len();
            value
        };
        Ok(Some(match kind {
            BYTE_ARRAY => Value::Bytes(value.to_vec()),
            FLOAT | DOUBLE => Value::Float(float(value)),
            _ => Value::Number(number(value)),
        }))
    }
}

/// The indices into the dictionary, or the bits of true and false; nothing if values are plain.
fn indices(
    encoding: i64,
    kind: i64,
    mut bytes: &[u8],
    count: usize,
) -> Result<Option<Vec<u32>>, Malformed> {
    let indices = match (encoding, kind) {
        (PLAIN, BOOLEAN) => runs::bits(bytes, count),
        (RUNS, BOOLEAN) => {
            plain(&mut bytes, BYTE_ARRAY).and_then(|bytes| runs::read(bytes, 1, count))
        }
        (PLAIN, _) => return Ok(None),
        _ if BY_DICTIONARY.contains(&encoding) => runs::indices(bytes, count),
        _ => {
            let name = encoding_name(encoding);
            let advice = "write it plain or with a dictionary";
            return Err(format!("a page is encoded as {name}; {advice}").into());
        }
    };
    let indices = indices.ok_or("the indices of a page are broken")?;
    Ok(Some(indices))
}

/// A page of plain values.
pub(super) struct Dictionary {
    bytes: Vec<u8>,
    starts: Vec<u32>,
}

impl Dictionary {
    pub(super) fn new(page: Page, chunk: &Chunk, kind: i64) -> Result<Self, Malformed> {
        let values = page.values()?;
        let bytes = page.content(chunk)?.values;
        // A plain value takes at least four bytes, as much as the place where it starts.
        ensure!(
            values <= bytes.len() / 4,
            "a dictionary announces more than it holds"
        );
        let mut starts = Vec::with_capacity(values);
        let mut rest = &bytes[..];
        for _ in 0..values {
            let start = u32::try_from(bytes.len() - rest.len());
            starts.push(start.map_err(Malformed::new)?);
            plain(&mut rest, kind).ok_or("a dictionary ends within its values")?;
        }
        Ok(Self { bytes, starts })
    }

    fn get(&self, index: u32, kind: i64) -> Option<&[u8]> {
        let start = *self.starts.get(index as usize)?;
        plain(&mut &self.bytes[start as usize..], kind)
    }
}

/// Takes a plain value from the beginning of `bytes`.
fn plain<'a>(bytes: &mut &'a [u8], kind: i64) -> Option<&'a [u8]> {
    match kind {
        INT32 | FLOAT => bytes.split_off(..4),
        INT64 | DOUBLE => bytes.split_off(..8),
        BYTE_ARRAY => {
            let (length, rest) = bytes.split_first_chunk::<4>()?;
            *bytes = rest;
            bytes.split_off(..u32::from_le_bytes(*length) as usize)
        }
        _ => None,
    }
}

/// A signed number of four or eight bytes.
fn number(bytes: &[u8]) -> i64 {
    match (bytes.first_chunk(), bytes.first_chunk()) {
        (_, Some(eight)) => i64::from_le_bytes(*eight),
        (Some(four), None) => i32::from_le_bytes(*four).into(),
        (None, None) => 0,
    }
}

/// A floating-point number of four or eight bytes.
fn float(bytes: &[u8]) -> f64 {
    match (bytes.first_chunk(), bytes.first_chunk()) {
        (_, Some(eight)) => f64::from_le_bytes(*eight),
        (Some(four), None) => f32::from_le_bytes(*four).into(),
        (None, None) => f64::NAN,
    }
}

/// The format's name of an encoding.
fn encoding_name(encoding: i64) -> &'static str {
    match encoding {
        3 => "RLE",
        4 => "BIT_PACKED",
        5 => "DELTA_BINARY_PACKED",
        6 => "DELTA_LENGTH_BYTE_ARRAY",
        7 => "DELTA_BYTE_ARRAY",
        9 => "BYTE_STREAM_SPLIT",
        _ => "something unknown",
    }
}
