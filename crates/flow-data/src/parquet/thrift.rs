//! Thrift's compact protocol, in which Parquet writes its headers.
//!
//! ```text
//! struct     fields, then a zero
//! field      a byte 16·(number − last number) + type, or the type and the number; then its value
//! list       a byte 16·count + type, or 240 + type and the count; then the values
//! bytes      their count, then they
//! count      7 bits a byte, least significant first; the eighth is set if more follow
//! number     n ≥ 0 as the count 2n, n < 0 as −2n − 1
//! ```

/// Structs and lists within each other; Parquet's go to seven.
const MAX_DEPTH: usize = 12;

/// A field of a struct.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Number(i64),
    Bytes(&'a [u8]),
    /// The end of a struct.
    End,
}

/// A callback with the numbers of the fields that lead to a value, and the value. The values of a
/// list have the numbers of the list.
pub(super) type Visitor<'a, 'v> = &'v mut dyn FnMut(&[i16], Value<'a>);

/// Reads a struct from the beginning of `bytes`, in time proportional to its bytes and without
/// memory; `None` if it is malformed.
pub(super) fn read<'a>(bytes: &mut &'a [u8], see: Visitor<'a, '_>) -> Option<()> {
    fields(bytes, &mut Vec::with_capacity(MAX_DEPTH), see)
}

fn fields<'a>(bytes: &mut &'a [u8], path: &mut Vec<i16>, see: Visitor<'a, '_>) -> Option<()> {
    let mut number = 0_i16;
    loop {
        let byte = *bytes.split_off_first()?;
        if byte == 0 {
            see(path, Value::End);
            return Some(());
        }
        number = match byte >> 4 {
            0 => i16::try_from(signed(bytes)?).ok()?,
            step => number.checked_add(step.into())?,
        };
        path.push(number);
        match byte & 15 {
            // Of a truth value, the type is the value: 1 is true, 2 false.
            kind @ (1 | 2) => see(path, Value::Number((kind == 1).into())),
            kind => value(kind, bytes, path, see)?,
        }
        path.pop();
    }
}

fn value<'a>(
    kind: u8,
    bytes: &mut &'a [u8],
    path: &mut Vec<i16>,
    see: Visitor<'a, '_>,
) -> Option<()> {
    match kind {
        1..=3 => drop(bytes.split_off_first()?),
        4..=6 => see(path, Value::Number(signed(bytes)?)),
        7 => drop(bytes.split_off(..8)?),
        8 => {
            let length = usize::try_from(unsigned(bytes)?).ok()?;
            see(path, Value::Bytes(bytes.split_off(..length)?));
        }
        9 | 10 => {
            let byte = *bytes.split_off_first()?;
            let count = match byte >> 4 {
                15 => unsigned(bytes)?,
                count => count.into(),
            };
            // Parquet has no lists of lists, which could be in each other without end.
            let kind = Some(byte & 15).filter(|kind| !matches!(kind, 9 | 10))?;
            for _ in 0..count {
                value(kind, bytes, path, see)?;
            }
        }
        12 if path.len() < MAX_DEPTH => fields(bytes, path, see)?,
        _ => return None,
    }
    Some(())
}

fn signed(bytes: &mut &[u8]) -> Option<i64> {
    let number = unsigned(bytes)?;
    Some((number >> 1) as i64 ^ -((number & 1) as i64))
}

/// Reads a count.
pub(super) fn unsigned(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.split_off_first()?;
        number |= u64::from(byte & 127) << shift;
        if byte < 128 {
            return Some(number);
        }
    }
    None
}
