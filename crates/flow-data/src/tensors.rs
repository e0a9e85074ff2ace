//! Headers of files of safetensors.

use std::{
    fs::File,
    io::{self, Read},
};

use safetensors::tensor::Metadata;

/// The largest header that is read.
const MAX_HEADER: u64 = 1 << 26;

/// The names of the tensors.
pub(crate) const IMAGES: &str = "images";
pub(crate) const LABELS: &str = "labels";

/// The key of the facts that prepared files have.
pub(crate) const RECORD: &str = "flow";

/// The header and the place behind it; nothing if it is damaged, or announces other bytes than
/// there are.
pub(crate) fn read_header(file: &mut File) -> io::Result<Option<(Metadata, u64)>> {
    let size = file.metadata()?.len();
    let mut length = Vec::new();
    file.take(8).read_to_end(&mut length)?;
    let Ok(length) = length.try_into().map(u64::from_le_bytes) else {
        return Ok(None);
    };
    let mut header = Vec::new();
    file.take(length.min(MAX_HEADER)).read_to_end(&mut header)?;
    let Ok(metadata) = serde_json::from_slice::<Metadata>(&header) else {
        return Ok(None);
    };
    let start = 8 + header.len() as u64;
    let is_whole = length == header.len() as u64
        && size.checked_sub(start) == Some(metadata.data_len() as u64);
    Ok(is_whole.then_some((metadata, start)))
}
