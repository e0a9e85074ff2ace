//! The digest of a file: SHA-256 of all its bytes, with zeros in the place of the digest itself.

use super::PREFIX;
use sha2::{Digest as _, Sha256};

/// The beginning of a header with metadata.
const START: &str = r#"{"__metadata__":{"#;

/// The digest of a file that is written or read from its beginning.
pub(super) struct Digest(Sha256);

impl Digest {
    /// Its place before it is known.
    const BLANK: &str = "0000000000000000000000000000000000000000000000000000000000000000";

    /// Puts a place for the digest into the metadata of `header`, and returns its offset in the
    /// file.
    pub(super) fn reserve(header: &mut String) -> u64 {
        assert!(header.starts_with(START), "the metadata are first");
        let key = r#""sha256":""#;
        header.insert_str(START.len(), &format!("{key}{}\",", Self::BLANK));
        PREFIX + (START.len() + key.len()) as u64
    }

    /// The digest of a file with `header`, in which `digest` has its place.
    pub(super) fn of(header: &str, digest: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update((header.len() as u64).to_le_bytes());
        match header.split_once(digest) {
            Some((before, after)) => {
                hash.update(before);
                hash.update(Self::BLANK);
                hash.update(after);
            }
            None => hash.update(header),
        }
        Self(hash)
    }

    /// As [`of`](Self::of), of a header with a reserved place.
    pub(super) fn of_new(header: &str) -> Self {
        Self::of(header, Self::BLANK)
    }

    /// Continues with the next `bytes` of the file.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest in hexadecimal.
    pub(super) fn finish(self) -> String {
        let digit = |value: u8| char::from_digit(value.into(), 16).expect("four bits are a digit");
        let bytes = self.0.finalize();
        let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        digits.map(digit).collect()
    }
}
