//! The values of a column, from its pages.
//!
//! ```text
//! data         length of levels in 4 bytes, levels (of columns with nulls); then plain values,
//!              or a byte for the bits of an index, and indices into the dictionary
//! levels,      runs: a count 2n and a value in whole bytes, n times;
//! indices      or a count 2n + 1 and 8n values, bit by bit, least significant first
//! ```
//!
//! Numbers are little-endian.

use super::{
    Malformed, ensure,
    footer::{Chunk, Column},
    pages::{self, Page},
    thrift,
};

/// Types of columns.
pub(super) const INT64: i64 = 2;
pub(super) const BYTE_ARRAY: i64 = 6;

/// Encodings. The dictionary's has an old number and a new one.
const PLAIN: i64 = 0;
const BY_DICTIONARY: [i64; 2] = [2, 8];
const RUNS: i64 = 3;

/// Hands the bytes of each value to `see`. At most `most` of them are in a page, and none is null.
pub(super) fn each(
    content: &[u8],
    chunk: &Chunk,
    column: &Column,
    most: usize,
    see: &mut dyn FnMut(&[u8]) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut pages = chunk.pages(content)?;
    let mut dictionary = None;
    while !pages.is_empty() {
        let page = pages::next(&mut pages, chunk.codec, content.len())?;
        if page.is_dictionary {
            ensure!(dictionary.is_none(), "a column has two dictionaries");
            dictionary = Some(Dictionary::new(page, column.kind)?);
        } else {
            ensure!(
                page.values <= most,
                "a page announces more than {most} values"
            );
            read_page(&page, dictionary.as_ref(), column, see)?;
        }
    }
    Ok(())
}

fn read_page(
    page: &Page<'_>,
    dictionary: Option<&Dictionary<'_>>,
    column: &Column,
    see: &mut dyn FnMut(&[u8]) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut bytes = &page.content[..];
    if column.level > 0 {
        ensure!(
            page.level_encoding == RUNS,
            "the levels of a page are not encoded in runs"
        );
        let levels = take_levels(&mut bytes, column.level, page.values);
        let levels = levels.ok_or("the levels of a page are broken")?;
        let all = levels.iter().all(|&level| level == u32::from(column.level));
        ensure!(all, "an image or a label is missing");
    }
    if BY_DICTIONARY.contains(&page.encoding) {
        let dictionary = dictionary.ok_or("a column has no dictionary")?;
        let width = bytes.split_off_first().filter(|&&width| width <= 32);
        let width = *width.ok_or("the indices of a page are broken")?;
        let indices = runs(bytes, width, page.values);
        for index in indices.ok_or("the indices of a page are broken")? {
            see(dictionary
                .get(index)
                .ok_or("a value is not in the dictionary")?)?;
        }
    } else {
        ensure!(
            page.encoding == PLAIN,
            "a page is encoded in a way that is not known"
        );
        for _ in 0..page.values {
            see(plain(&mut bytes, column.kind).ok_or("a page ends within its values")?)?;
        }
    }
    Ok(())
}

/// A page of plain values.
struct Dictionary<'a> {
    page: Page<'a>,
    kind: i64,
    starts: Vec<u32>,
}

impl<'a> Dictionary<'a> {
    fn new(page: Page<'a>, kind: i64) -> Result<Self, Malformed> {
        // A plain value takes at least four bytes, as much as the place where it starts.
        ensure!(
            page.values <= page.content.len() / 4,
            "a dictionary announces more than it holds"
        );
        let mut starts = Vec::with_capacity(page.values);
        let mut rest = &page.content[..];
        for _ in 0..page.values {
            let start = u32::try_from(page.content.len() - rest.len());
            starts.push(start.map_err(Malformed::new)?);
            plain(&mut rest, kind).ok_or("a dictionary ends within its values")?;
        }
        Ok(Self { page, kind, starts })
    }

    fn get(&self, index: u32) -> Option<&[u8]> {
        let start = *self.starts.get(index as usize)?;
        plain(&mut &self.page.content[start as usize..], self.kind)
    }
}

/// Takes a plain value from the beginning of `bytes`.
fn plain<'a>(bytes: &mut &'a [u8], kind: i64) -> Option<&'a [u8]> {
    match kind {
        INT64 => bytes.split_off(..8),
        BYTE_ARRAY => {
            let (length, rest) = bytes.split_first_chunk::<4>()?;
            *bytes = rest;
            bytes.split_off(..u32::from_le_bytes(*length) as usize)
        }
        _ => None,
    }
}

/// Takes `count` levels from the beginning of `bytes`.
fn take_levels(bytes: &mut &[u8], level: u8, count: usize) -> Option<Vec<u32>> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    *bytes = rest;
    let levels = bytes.split_off(..u32::from_le_bytes(*length) as usize)?;
    runs(levels, (u8::BITS - level.leading_zeros()) as u8, count)
}

/// The first `count` numbers of `width` bits, at most 32, in runs.
fn runs(mut bytes: &[u8], width: u8, count: usize) -> Option<Vec<u32>> {
    let mut numbers = Vec::with_capacity(count);
    while numbers.len() < count {
        let header = thrift::unsigned(&mut bytes)?;
        let length = usize::try_from(header >> 1).ok()?;
        let left = count - numbers.len();
        if header & 1 == 0 {
            let value = bytes.split_off(..usize::from(width).div_ceil(8))?;
            let value = value
                .iter()
                .rev()
                .fold(0, |value, &byte| value << 8 | u32::from(byte));
            numbers.extend(std::iter::repeat_n(value, length.min(left)));
        } else {
            // The last numbers of the last run may be left out.
            let stored = length.checked_mul(width.into())?.min(bytes.len());
            let packed = bytes.split_off(..stored)?;
            let whole = if width == 0 {
                left
            } else {
                packed.len() * 8 / usize::from(width)
            };
            let wanted = left.min(whole).min(length.saturating_mul(8));
            numbers.extend((0..wanted).map(|i| unpack(packed, i * usize::from(width), width)));
        }
    }
    Some(numbers)
}

/// The number of `width` bits that begins at bit `start`.
fn unpack(packed: &[u8], start: usize, width: u8) -> u32 {
    let bit = |i: usize| u32::from(packed[i / 8] >> (i % 8) & 1);
    (0..width).map(|i| bit(start + usize::from(i)) << i).sum()
}
