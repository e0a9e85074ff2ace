//! Headers of a tar archive, between which contents are passed over.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::Path,
};

use crate::content::{Gzip, is_gzip, skip};

use super::MAX_TEXT;

/// A reader that moves on to the next header by seeking, also under gzip.
pub(super) fn open(file: &Path) -> io::Result<Box<dyn Content>> {
    let mut content = BufReader::new(File::open(file)?);
    Ok(if is_gzip(&mut content)? {
        Box::new(Forward {
            content: Gzip::new(content),
            position: 0,
            left: MAX_TEXT,
        })
    } else {
        Box::new(content)
    })
}

pub(super) trait Content: Read + Seek {}
impl<T: Read + Seek> Content for T {}

/// A reader that seeks forward only, and reads a limited number of bytes in between: headers take
/// memory.
struct Forward<R> {
    content: R,
    position: u64,
    left: u64,
}

impl<R: Read> Read for Forward<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            let reason = "its headers are longer than a mebibyte";
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        let read = (&mut self.content).take(self.left).read(buffer)?;
        self.position += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

impl<R: Read> Seek for Forward<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let SeekFrom::Current(bytes @ 0..) = to else {
            return Err(io::ErrorKind::NotSeekable.into());
        };
        skip(&mut self.content, bytes.unsigned_abs())?;
        self.position += bytes.unsigned_abs();
        self.left = MAX_TEXT;
        Ok(self.position)
    }
}
