//! PyTorch's files before 1.6: five pickles and, after them, the storages.
//!
//! ```text
//! magic number, protocol version, description of the machine, the state dict,
//!     keys of the storages
//! for each key, in order: the count of numbers, 8 bytes; the numbers
//! ```

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::{Context, Result, bail, ensure};

use super::pickle::{Pickle, Value};
use super::torch::Storage;

/// The magic number, of 80 bits, little-endian.
const MAGIC: [u8; 10] = *b"\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

/// The magic number in digits, as protocols 0 and 1 have it.
const DIGITS: &[u8] = b"L119547037146038801333356L";

/// Bytes that are enough to find the magic number in.
pub(super) const START: usize = 32;

/// The protocol version of all such files.
const PROTOCOL: i64 = 1001;

/// Tells whether a file that begins so is one: a magic number, written in any protocol, comes
/// first.
pub(super) fn is_start(start: &[u8]) -> bool {
    let number = start.windows(MAGIC.len()).any(|bytes| bytes == MAGIC);
    number && start[0] == 0x80 || start.starts_with(DIGITS)
}

/// A file in memory.
pub(super) struct Legacy<'a> {
    bytes: &'a [u8],
    keys: Vec<&'a str>,
    /// Start of the storages.
    start: usize,
}

impl<'a> Legacy<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<(Self, Pickle<'a>)> {
        let mut at = 0;
        let mut next = || {
            let (pickle, length) = Pickle::read(&bytes[at..], at)?;
            at += length;
            anyhow::Ok(pickle)
        };
        next()?;
        let protocol = next()?;
        ensure!(
            matches!(protocol.get(protocol.result()), Value::Int(PROTOCOL)),
            "its protocol version is not {PROTOCOL}"
        );
        ensure!(is_little_endian(&next()?), "its numbers are big-endian");
        let state = next()?;
        let keys = next()?;
        let keys = keys.items(keys.result()).and_then(|items| {
            let keys = items.iter().map(|&item| keys.text(item));
            keys.collect::<Option<Vec<_>>>()
        });
        let keys = keys.context("the keys of its storages are not where they should be")?;
        let start = at;
        Ok((Self { bytes, keys, start }, state))
    }

    /// The bytes of all `storages` by key. All of the file has to be theirs.
    pub(super) fn storages(
        &self,
        storages: &BTreeMap<String, Storage>,
    ) -> Result<BTreeMap<&'a str, &'a [u8]>> {
        let mut rest = self.start..self.bytes.len();
        let mut found = BTreeMap::new();
        for &key in &self.keys {
            let Some(storage) = storages.get(key) else {
                bail!("no tensor uses the storage `{key}`, so its length is unknown");
            };
            let bytes = self
                .next(&mut rest, storage)
                .with_context(|| format!("storage `{key}`"))?;
            found.insert(key, bytes);
        }
        ensure!(
            rest.is_empty(),
            "{} bytes follow the last storage",
            rest.len()
        );
        Ok(found)
    }

    fn next(&self, rest: &mut Range<usize>, storage: &Storage) -> Result<&'a [u8]> {
        let mut take = |length: usize| {
            let at = rest.start;
            ensure!(length <= rest.len(), "the file is cut off at byte {at}");
            rest.start += length;
            Ok(&self.bytes[at..][..length])
        };
        let length = u64::from_le_bytes(take(8)?.try_into().expect("8 bytes"));
        ensure!(
            length == storage.length as u64,
            "it has {length} numbers, not {}",
            storage.length
        );
        let bytes = storage.length.checked_mul(storage.kind.bytes());
        take(bytes.context("it is larger than any file")?)
    }
}

fn is_little_endian(machine: &Pickle) -> bool {
    let entries = machine.entries(machine.result()).unwrap_or_default();
    let mut entries = entries.iter();
    entries.any(|&(key, value)| {
        machine.text(key) == Some("little_endian")
            && matches!(machine.get(value), Value::Bool(true))
    })
}
