//! The pages of a column: a header, which is a Thrift struct, and values, compressed or not.

use std::io::{Read, Seek, SeekFrom};

use crate::malformed::{Malformed, ensure};

use super::{
    footer::Chunk,
    thrift::{self, Value},
};

/// Kinds of pages.
const DATA: i64 = 0;
const INDEX: i64 = 1;
const DICTIONARY: i64 = 2;
const DATA_V2: i64 = 3;

/// Bytes in which most headers end, and in which all do. They hold the least and the greatest
/// value.
const USUAL_HEADER: u64 = 1 << 9;
const LARGEST_HEADER: u64 = 1 << 24;

/// A page as it is stored.
pub(super) struct Page {
    pub(super) header: Header,
    stored: Vec<u8>,
}

/// The content of a page.
pub(super) struct Content {
    /// Levels of a page of the second version, which stand before the values.
    pub(super) levels: Option<Vec<u8>>,
    /// Values; before them the levels of a page of the first version.
    pub(super) values: Vec<u8>,
}

/// Fields of a header; −1 marks an absent field.
pub(super) struct Header {
    kind: i64,
    /// Bytes of the page when it is not compressed.
    size: i64,
    /// Bytes of the page in the file.
    stored: i64,
    values: i64,
    pub(super) encoding: i64,
    /// Encoding of the places of nulls, in pages of the first version.
    pub(super) level_encoding: i64,
    /// Bytes of levels in pages of the second version.
    levels: i64,
    repetitions: i64,
    is_compressed: bool,
}

impl Chunk {
    /// Takes the next page; nothing at the end.
    pub(super) fn next_page(
        &mut self,
        mut source: impl Read + Seek,
    ) -> Result<Option<Page>, Malformed> {
        if self.length == 0 {
            return Ok(None);
        }
        let header = self.take_header(&mut source)?;
        let kinds = [DATA, INDEX, DICTIONARY, DATA_V2];
        let kind = header.kind;
        ensure!(
            kinds.contains(&kind),
            "a page is of a kind that is not known, {kind}"
        );
        let size = u64::try_from(header.stored).ok();
        let size = size.filter(|size| *size <= self.length);
        let size = size.ok_or("a page does not lie within its column")?;
        let stored = self.peek(&mut source, size)?;
        self.skip(size);
        Ok(Some(Page { header, stored }))
    }

    fn take_header(&mut self, source: &mut (impl Read + Seek)) -> Result<Header, Malformed> {
        let mut size = USUAL_HEADER;
        loop {
            let bytes = self.peek(source, size.min(self.length))?;
            let mut rest = &bytes[..];
            if let Some(header) = Header::read(&mut rest) {
                self.skip((bytes.len() - rest.len()) as u64);
                return Ok(header);
            }
            ensure!(
                size < self.length.min(LARGEST_HEADER),
                "the header of a page is broken"
            );
            size *= 8;
        }
    }

    /// The next bytes, at most as many as are left.
    fn peek(&self, source: &mut (impl Read + Seek), size: u64) -> Result<Vec<u8>, Malformed> {
        let mut bytes = vec![0; usize::try_from(size).map_err(Malformed::new)?];
        source
            .seek(SeekFrom::Start(self.start))
            .map_err(Malformed::new)?;
        source.read_exact(&mut bytes).map_err(Malformed::new)?;
        Ok(bytes)
    }

    fn skip(&mut self, size: u64) {
        self.start += size;
        self.length -= size;
    }
}

impl Page {
    /// True of values that those of other pages are indices of.
    pub(super) fn is_dictionary(&self) -> bool {
        self.header.kind == DICTIONARY
    }

    /// Number of values that it announces, of which some may be null.
    pub(super) fn values(&self) -> Result<usize, Malformed> {
        if self.header.kind == INDEX {
            return Ok(0);
        }
        let values = usize::try_from(self.header.values);
        Ok(values.map_err(|_| "a page announces no values")?)
    }

    /// Unpacks it.
    pub(super) fn content(self, chunk: &Chunk) -> Result<Content, Malformed> {
        let values = self.values()?;
        let (header, mut stored) = (self.header, self.stored);
        let size = usize::try_from(header.size).map_err(|_| "a page announces no size")?;
        if header.kind != DATA_V2 {
            let values = chunk.codec.unpack(stored, size, values)?;
            return Ok(Content {
                levels: None,
                values,
            });
        }
        ensure!(header.repetitions <= 0, "a row has several values");
        let length = usize::try_from(header.levels).ok();
        let length = length.filter(|length| *length <= stored.len().min(size));
        let length = length.ok_or("the levels of a page are broken")?;
        let packed = stored.split_off(length);
        let size = size - length;
        let values = if header.is_compressed {
            chunk.codec.unpack(packed, size, values)?
        } else {
            packed
        };
        Ok(Content {
            levels: Some(stored),
            values,
        })
    }
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
            levels: -1,
            repetitions: -1,
            is_compressed: true,
        };
        thrift::read(bytes, &mut |path, value| {
            let Value::Number(number) = value else { return };
            match path {
                [1] => header.kind = number,
                [2] => header.size = number,
                [3] => header.stored = number,
                // Fields of a data page, of a dictionary page, and of a data page of version 2.
                [5 | 7 | 8, 1] => header.values = number,
                [5 | 7, 2] | [8, 4] => header.encoding = number,
                [5, 3] => header.level_encoding = number,
                [8, 5] => header.levels = number,
                [8, 6] => header.repetitions = number,
                [8, 7] => header.is_compressed = number == 1,
                _ => {}
            }
        })?;
        Some(header)
    }
}
