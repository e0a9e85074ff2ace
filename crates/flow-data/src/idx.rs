//! The IDX format of MNIST and Fashion-MNIST: a header and a byte per element.
//!
//! ```text
//! 0 0 8 N            two zeros, the type (8: unsigned byte), the number of dimensions
//! d₁ … d_N           the dimensions, 32-bit big-endian; d₁ counts the images or labels
//! bytes              d₁·…·d_N of them, the last dimension running fastest
//! ```
//!
//! Described by the authors of MNIST beside the data set.

use std::{
    io::{self, Read},
    path::Path,
};

use crate::{Error, Result, dataset::check_labels};

/// Height and width of an image, in pixels.
pub const SIDE: usize = 28;

/// Reads images of [`SIDE`] × [`SIDE`], at most `most` of them. Errors name `path`. Memory is at
/// most four times the size of `content`.
///
/// # Errors
///
/// The header is not that of such images, or `content` has fewer or more bytes than it announces.
pub fn read_images(path: &Path, content: impl Read, most: usize) -> Result<Vec<u8>> {
    read(path, content, &[SIDE, SIDE], most)
}

/// Reads labels, at most `most` of them. `path` is for the error's text.
///
/// # Errors
///
/// The header is not that of labels, `content` has fewer or more bytes than it announces, or a
/// label is not a class.
pub fn read_labels(path: &Path, content: impl Read, most: usize) -> Result<Vec<u8>> {
    let labels = read(path, content, &[], most)?;
    check_labels(path, &labels)?;
    Ok(labels)
}

/// The content of an IDX file of images of [`SIDE`] × [`SIDE`], from their pixels row by row.
pub fn encode_images(pixels: &[u8]) -> Vec<u8> {
    encode(pixels, &[SIDE, SIDE])
}

/// The content of an IDX file of labels.
pub fn encode_labels(labels: &[u8]) -> Vec<u8> {
    encode(labels, &[])
}

/// `item` is the shape of one element along the first dimension.
fn read(path: &Path, mut content: impl Read, item: &[usize], most: usize) -> Result<Vec<u8>> {
    let format = |reason| Error::Format {
        path: path.to_owned(),
        reason,
    };
    let io = |source| Error::Io {
        path: path.to_owned(),
        source,
    };

    let shape = read_shape(&mut content).map_err(io)?;
    let count = check_shape(shape.as_deref(), item, most).map_err(format)?;

    // Grows with the bytes read, so a header cannot make it allocate more than the file holds.
    let mut bytes = Vec::new();
    let expected = count as u64 * item.iter().product::<usize>() as u64;
    content
        .take(expected + 1)
        .read_to_end(&mut bytes)
        .map_err(io)?;
    let found = bytes.len() as u64;
    if found != expected {
        let found = if found > expected {
            "more".to_owned()
        } else {
            found.to_string()
        };
        return Err(format(format!(
            "announces {expected} B of {} but holds {found}",
            kind(item)
        )));
    }
    Ok(bytes)
}

/// The dimensions that a header announces; nothing if it is not that of an IDX file of bytes.
pub(crate) fn read_shape(content: &mut impl Read) -> io::Result<Option<Vec<usize>>> {
    let mut header = Vec::new();
    content.by_ref().take(4).read_to_end(&mut header)?;
    let [0, 0, 8, rank] = *header else {
        return Ok(None);
    };
    let mut sizes = Vec::new();
    content
        .by_ref()
        .take(4 * u64::from(rank))
        .read_to_end(&mut sizes)?;
    let (sizes, _) = sizes.as_chunks();
    let sizes = sizes.iter().map(|&size| u32::from_be_bytes(size) as usize);
    Ok(Some(sizes.collect()).filter(|shape: &Vec<_>| shape.len() == usize::from(rank)))
}

/// The number of items, or why a header is not that of such items.
fn check_shape(shape: Option<&[usize]>, item: &[usize], most: usize) -> Result<usize, String> {
    let Some((&count, found)) = shape
        .and_then(<[_]>::split_first)
        .filter(|(_, found)| found.len() == item.len())
    else {
        return Err(format!("is not an IDX file of {}", kind(item)));
    };
    if found != item {
        return Err(format!("holds images of {found:?} pixels, not {item:?}"));
    }
    if count == 0 || count > most {
        return Err(format!("announces {count} {}, not 1 to {most}", kind(item)));
    }
    Ok(count)
}

fn encode(bytes: &[u8], item: &[usize]) -> Vec<u8> {
    let count = bytes.len() / item.iter().product::<usize>();
    let dimensions = std::iter::once(count).chain(item.iter().copied());
    let mut content = magic(item).to_vec();
    content.extend(dimensions.flat_map(|dimension| (dimension as u32).to_be_bytes()));
    content.extend_from_slice(bytes);
    content
}

/// Bytes of a header: the magic number and the dimensions.
pub(crate) fn header_bytes(rank: usize) -> u64 {
    4 * (1 + rank as u64)
}

fn magic(item: &[usize]) -> [u8; 4] {
    [0, 0, 8, 1 + item.len() as u8]
}

fn kind(item: &[usize]) -> &'static str {
    if item.is_empty() { "labels" } else { "images" }
}
