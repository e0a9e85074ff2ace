//! NumPy's `.npy` files (format 1 to 3).

use std::{
    collections::BTreeMap,
    io::Read,
    path::{Path, PathBuf},
};

use crate::{Error, Result};

use super::{
    Array, Source,
    named::{self, Named},
    names,
};

/// The first bytes of every file.
pub(crate) const MAGIC: &[u8] = b"\x93NUMPY";

/// Bytes of a header.
const MAX_HEADER: u64 = 1 << 20;

/// Facts about an array.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The type of elements, such as `|u1`.
    pub(super) dtype: String,
    pub(super) is_fortran: bool,
    pub(super) shape: Vec<usize>,
    /// Bytes of the header.
    pub(super) bytes: u64,
}

/// Arrays of images in files, with the labels beside them.
pub(super) fn open(root: &Path, files: &[PathBuf]) -> Result<Vec<Array>> {
    let mut folders = BTreeMap::<_, Vec<_>>::new();
    for file in files {
        let name = names::below(root, file).to_ascii_lowercase();
        let (folder, name) = name.rsplit_once('/').unwrap_or(("", &name));
        let key = name
            .split_once(".npy")
            .map_or(name, |(key, _)| key)
            .to_owned();
        let group = folders.entry(folder.to_owned()).or_default();
        group.push(named(file, key)?);
    }
    let mut arrays = Vec::new();
    for (folder, group) in folders {
        arrays.extend(named::pair(group, names::part_in(&folder))?);
    }
    Ok(arrays)
}

/// The array of a file.
pub(super) fn named(file: &Path, key: String) -> Result<Named> {
    let source = Source::whole(file);
    let mut content = source.open().map_err(|error| Error::io(file, error))?;
    let header = Header::read(&mut content).map_err(|reason| Error::format(file, reason))?;
    Ok(Named {
        source,
        key,
        header,
    })
}

impl Header {
    /// Reads a header.
    ///
    /// # Errors
    /// The rest of a sentence that starts with the file.
    pub(super) fn read(content: &mut impl Read) -> Result<Self, String> {
        Self::parse(content).ok_or_else(|| "is not an array that NumPy saved".to_owned())
    }

    fn parse(content: &mut impl Read) -> Option<Self> {
        let mut start = [0; 8];
        content.read_exact(&mut start).ok()?;
        let is_short = start.strip_prefix(MAGIC)?.first() == Some(&1);
        let mut length = [0; 4];
        let digits = if is_short { 2 } else { 4 };
        content.read_exact(&mut length[..digits]).ok()?;
        let length = u64::from(u32::from_le_bytes(length));
        let mut text = Vec::new();
        content
            .take(length.min(MAX_HEADER))
            .read_to_end(&mut text)
            .ok()?;
        let text = String::from_utf8(text)
            .ok()
            .filter(|text| text.len() as u64 == length)?;
        let value = |key: &str| {
            let (_, rest) = text.split_once(key)?;
            rest.trim_start().strip_prefix(':').map(str::trim_start)
        };
        let shape = value("'shape'")?.strip_prefix('(')?.split_once(')')?.0;
        let sizes = shape
            .split(',')
            .map(str::trim)
            .filter(|size| !size.is_empty());
        // Python 2 writes 3L.
        let sizes = sizes.map(|size| size.trim_end_matches('L').parse().ok());
        Some(Self {
            dtype: dtype(value("'descr'")?)?,
            is_fortran: value("'fortran_order'")?.starts_with("True"),
            shape: sizes.collect::<Option<_>>()?,
            bytes: 8 + digits as u64 + length,
        })
    }
}

/// The type of elements; that of records is a list.
fn dtype(value: &str) -> Option<String> {
    let dtype = match value.strip_prefix('\'') {
        Some(rest) => rest.split_once('\'')?.0,
        None => "records",
    };
    let is_plain = dtype.chars().all(|c| c.is_ascii_graphic());
    is_plain.then(|| dtype.to_owned())
}
