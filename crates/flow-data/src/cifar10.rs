//! The binary format of CIFAR-10: records of one label byte and one image.
//!
//! ```text
//! record = label (0–9), then 1024 red, 1024 green, 1024 blue bytes, each plane row by row
//! ```
//!
//! The format is described by its author beside the data set; files have no header.

use std::{io::Read, path::Path};

use crate::{Error, Result, dataset::check_labels};

/// Channels of an image: red, green, blue.
pub const CHANNELS: usize = 3;

/// Height and width of an image, in pixels.
pub const SIDE: usize = 32;

/// Bytes of an image.
pub(crate) const IMAGE: usize = CHANNELS * SIDE * SIDE;
const RECORD: usize = 1 + IMAGE;

/// Reads a batch of at most `most` records into pixels and labels. Errors name `path`. Memory is at
/// most four times the size of `content`.
///
/// # Errors
///
/// `content` is empty, too long, or ends within a record, or a label is not a class.
pub fn read(path: &Path, content: impl Read, most: usize) -> Result<(Vec<u8>, Vec<u8>)> {
    let mut bytes = Vec::new();
    let limit = most.saturating_mul(RECORD) as u64;
    content
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|source| Error::Io {
            path: path.to_owned(),
            source,
        })?;
    let (records, rest) = bytes.as_chunks::<RECORD>();
    if records.is_empty() || records.len() > most || !rest.is_empty() {
        let reason = format!("is not a CIFAR-10 batch: not 1 to {most} records of {RECORD} bytes");
        return Err(Error::Format {
            path: path.to_owned(),
            reason,
        });
    }
    let labels: Vec<u8> = records.iter().map(|[label, ..]| *label).collect();
    check_labels(path, &labels)?;
    let mut pixels = Vec::with_capacity(records.len() * IMAGE);
    for [_, image @ ..] in records {
        pixels.extend_from_slice(image);
    }
    Ok((pixels, labels))
}

/// The content of a batch, from the images' pixels (channel, row, column) and their labels.
pub fn encode(pixels: &[u8], labels: &[u8]) -> Vec<u8> {
    let (images, _) = pixels.as_chunks::<IMAGE>();
    labels
        .iter()
        .zip(images)
        .flat_map(|(&label, image)| std::iter::once(label).chain(image.iter().copied()))
        .collect()
}
