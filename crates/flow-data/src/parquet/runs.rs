//! Numbers of few bits: levels and indices.
//!
//! ```text
//! runs         a count 2n and a value in whole bytes, n times;
//!              or a count 2n + 1 and 8n values, bit by bit, least significant first
//! ```

use super::thrift;

/// The first `count` indices after the byte that says how many bits each has.
pub(super) fn indices(mut bytes: &[u8], count: usize) -> Option<Vec<u32>> {
    if count == 0 {
        return Some(Vec::new());
    }
    let width = *bytes.split_off_first().filter(|&&width| width <= 32)?;
    read(bytes, width, count)
}

/// The first `count` bits, least significant first.
pub(super) fn bits(bytes: &[u8], count: usize) -> Option<Vec<u32>> {
    let enough = count.div_ceil(8) <= bytes.len();
    enough.then(|| (0..count).map(|i| unpack(bytes, i, 1)).collect())
}

/// The first `count` numbers of `width` bits, at most 32, in runs.
pub(super) fn read(mut bytes: &[u8], width: u8, count: usize) -> Option<Vec<u32>> {
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
