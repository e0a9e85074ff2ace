//! The pages of a column: a header, which is a Thrift struct, and values, compressed or not.

use std::borrow::Cow;

use snap::raw::{Decoder, decompress_len};

use super::{
    Malformed, ensure,
    thrift::{self, Value},
};

/// The kinds of pages that the hub's files have.
const DATA: i64 = 0;
const DICTIONARY: i64 = 2;

/// Compression of pages.
const UNCOMPRESSED: i64 = 0;
const SNAPPY: i64 = 1;

/// A page, not compressed.
pub(super) struct Page<'a> {
    pub(super) is_dictionary: bool,
    pub(super) content: Cow<'a, [u8]>,
    /// Number of values that it announces.
    pub(super) values: usize,
    pub(super) encoding: i64,
    /// Encoding of the places of nulls; in pages of data.
    pub(super) level_encoding: i64,
}

/// Fields of a header; −1 marks an absent field.
struct Header {
    kind: i64,
    /// Bytes of the page when it is not compressed.
    size: i64,
    /// Bytes of the page in the file.
    stored: i64,
    values: i64,
    encoding: i64,
    level_encoding: i64,
}

/// Takes the first of `pages`. It is at most `largest` bytes large; the hub's files hold images
/// that do not compress, so that no page of them is larger than the file.
pub(super) fn next<'a>(
    pages: &mut &'a [u8],
    codec: i64,
    largest: usize,
) -> Result<Page<'a>, Malformed> {
    let header = Header::read(pages).ok_or("the header of a page is broken")?;
    ensure!(
        header.kind == DATA || header.kind == DICTIONARY,
        "a page is of a kind that is not known, {}",
        header.kind
    );
    let stored = usize::try_from(header.stored)
        .ok()
        .and_then(|length| pages.split_off(..length))
        .ok_or("a page does not lie within its column")?;
    let content = match codec {
        UNCOMPRESSED => Cow::Borrowed(stored),
        SNAPPY => {
            let size = decompress_len(stored).map_err(Malformed::new)?;
            ensure!(
                size <= largest,
                "a page announces {size} bytes, more than the file has"
            );
            let content = Decoder::new().decompress_vec(stored);
            Cow::Owned(content.map_err(Malformed::new)?)
        }
        _ => return Err("its pages are not compressed by Snappy".into()),
    };
    ensure!(
        usize::try_from(header.size) == Ok(content.len()),
        "a page announces {} bytes and holds {}",
        header.size,
        content.len()
    );
    Ok(Page {
        is_dictionary: header.kind == DICTIONARY,
        content,
        values: usize::try_from(header.values).map_err(|_| "a page announces no values")?,
        encoding: header.encoding,
        level_encoding: header.level_encoding,
    })
}

impl Header {
    /// Reads a header from the beginning of `bytes`; `None` if it is malformed.
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let mut header = Self {
            kind: -1,
            size: -1,
            stored: -1,
            values: -1,
            encoding: -1,
            level_encoding: -1,
        };
        thrift::read(bytes, &mut |path, value| {
            let Value::Number(number) = value else { return };
            match path {
                [1] => header.kind = number,
                [2] => header.size = number,
                [3] => header.stored = number,
                // Fields of a data page, and of a dictionary page.
                [5 | 7, 1] => header.values = number,
                [5 | 7, 2] => header.encoding = number,
                [5, 3] => header.level_encoding = number,
                _ => {}
            }
        })?;
        Some(header)
    }
}
