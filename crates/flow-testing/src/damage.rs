//! Damage of files, and limits on what reading them may cost.

use std::error::Error;

use proptest::{prelude::*, sample::Index};

/// An accident of a file.
#[derive(Clone, Debug)]
pub enum Damage {
    /// Other bits in a byte.
    Flip(Index, u8),
    /// An early end.
    Cut(Index),
    /// More bytes behind the end.
    Extend(Vec<u8>),
    /// A part of the file over another part of it.
    Splice(Index, Index, Index),
    /// Extremes in place of a number in the header.
    Number(usize, u32),
}

impl Damage {
    fn apply(&self, file: &mut Vec<u8>) {
        if file.is_empty() {
            return;
        }
        match self {
            Self::Flip(at, bits) => {
                let at = at.index(file.len());
                file[at] ^= bits;
            }
            Self::Cut(at) => file.truncate(at.index(file.len())),
            Self::Extend(bytes) => file.extend(bytes),
            Self::Splice(from, to, length) => {
                let (from, to) = (from.index(file.len()), to.index(file.len()));
                let length = length.index(file.len() + 1 - from.max(to));
                file.copy_within(from..from + length, to);
            }
            Self::Number(word, number) => {
                for (byte, new) in file.iter_mut().skip(4 * word).zip(number.to_be_bytes()) {
                    *byte = new;
                }
            }
        }
    }
}

/// One to three accidents of a file.
pub fn damage() -> impl Strategy<Value = Vec<Damage>> {
    let extremes = prop_oneof![
        Just(0),
        Just(1),
        Just(i32::MAX as u32),
        Just(1 << 31),
        Just(u32::MAX),
        any::<u32>(),
    ];
    let one = prop_oneof![
        (any::<Index>(), 1..=255_u8).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        any::<Index>().prop_map(Damage::Cut),
        prop::collection::vec(any::<u8>(), 1..2000).prop_map(Damage::Extend),
        any::<(Index, Index, Index)>().prop_map(|(from, to, n)| Damage::Splice(from, to, n)),
        (0..4_usize, extremes).prop_map(|(word, number)| Damage::Number(word, number)),
    ];
    prop::collection::vec(one, 1..4)
}

/// The file after all of `damage`.
pub fn damaged(file: &[u8], damage: &[Damage]) -> Vec<u8> {
    let mut file = file.to_vec();
    for damage in damage {
        damage.apply(&mut file);
    }
    file
}

/// A safetensors file of a flow without its digest, as earlier versions wrote it: so damage gets as
/// far as it can.
pub fn without_digest(file: &[u8]) -> Vec<u8> {
    let key = br#""sha256":""#;
    let mut file = file.to_vec();
    let start = file.windows(key.len()).position(|window| window == key);
    let start = start.expect("it has a digest");
    let end = start + key.len() + 64 + br#"","#.len();
    file[start..end].fill(b' ');
    file
}

/// The result of `read`, which panics if it takes more than `limit` bytes of memory at a time.
pub fn within<T>(limit: usize, read: impl FnOnce() -> T) -> T {
    let mut result = None;
    let taken = allocation_counter::measure(|| result = Some(read())).bytes_max;
    assert!(
        taken <= limit as u64,
        "{taken} bytes are more than the {limit} allowed"
    );
    result.unwrap()
}

/// The bytes of memory that a decoder may take for a picture of so many pixels, however damaged.
pub fn picture_limit(content: &[u8], pixels: usize) -> usize {
    /// Bytes of a pixel in all of its forms at the same time: as it is decoded, turned, on its
    /// background and scaled.
    const FORMS: usize = 32;
    // Tables and color profiles. The decoder of TIFF has a limit of its own for lists in a header.
    let is_tiff = [b"II*\0", b"MM\0*"]
        .iter()
        .any(|mark| content.starts_with(*mark));
    let others = if is_tiff { 5 << 26 } else { 1 << 26 };
    others + 4 * content.len() + FORMS * pixels
}

/// Asserts that an error, with all of its causes, is one line that a person can read and that holds
/// `name`.
pub fn check_text(error: &dyn Error, name: &str) {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    assert!(text.contains(name) && text.len() < 1000, "{text}");
    assert!(!text.contains(char::is_control), "{text}");
}
