//! The bytes of an array, wherever they are in a file.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::PathBuf,
};

use flate2::{CrcReader, read::DeflateDecoder};

use crate::{
    Error, Result,
    content::{is_gzip, uncompressed},
};

/// Bytes in a file.
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) packing: Packing,
}

/// The way in which bytes lie in a file.
pub(super) enum Packing {
    /// The whole file, under gzip or not.
    Whole,
    /// A part of the file, and its checksum if there is one.
    Stored {
        start: u64,
        bytes: u64,
        crc: Option<u32>,
    },
    /// A part of the file, by the method deflate, and the checksum of what it unpacks to.
    Deflated { start: u64, bytes: u64, crc: u32 },
}

impl Source {
    /// The whole of a file, under gzip or not.
    pub(super) fn whole(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            packing: Packing::Whole,
        }
    }

    /// True if this is all of a file.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.packing, Packing::Whole)
    }

    /// A reader from the first byte on.
    pub(super) fn open(&self) -> io::Result<Box<dyn Read>> {
        let mut file = File::open(&self.path)?;
        match self.packing {
            Packing::Whole => uncompressed(BufReader::new(file)),
            Packing::Stored { start, bytes, .. } => {
                file.seek(SeekFrom::Start(start))?;
                Ok(Box::new(BufReader::new(file).take(bytes)))
            }
            Packing::Deflated { start, bytes, .. } => {
                file.seek(SeekFrom::Start(start))?;
                let packed = BufReader::new(file).take(bytes);
                Ok(Box::new(BufReader::new(DeflateDecoder::new(packed))))
            }
        }
    }

    /// An error unless there are `expected` bytes. What is compressed is unpacked for that, since
    /// no header is to be believed.
    pub(super) fn ensure_length(&self, expected: u64) -> Result<()> {
        let found = self.length(expected);
        match found.map_err(|source| Error::io(&self.path, source))? {
            found if found == expected => Ok(()),
            found => {
                let found = if found > expected {
                    "more".to_owned()
                } else {
                    format!("{found} B")
                };
                let reason = format!("announces {expected} B, but holds {found}");
                Err(Error::format(&self.path, reason))
            }
        }
    }

    /// The bytes, of which there are `expected`.
    pub(super) fn read(&self, expected: u64) -> Result<Vec<u8>> {
        self.ensure_length(expected)?;
        let read = || {
            let mut content = CrcReader::new(self.open()?.take(expected));
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes)?;
            if let Packing::Stored { crc: Some(crc), .. } = self.packing {
                ensure_checksum(&content, crc)?;
            }
            Ok(bytes)
        };
        read().map_err(|source| Error::io(&self.path, source))
    }

    /// The number of bytes; one more than `most` if there are more, and these are compressed.
    fn length(&self, most: u64) -> io::Result<u64> {
        let size = self.path.metadata()?.len();
        match self.packing {
            Packing::Whole if !is_gzip(&mut BufReader::new(File::open(&self.path)?))? => Ok(size),
            Packing::Stored { start, bytes, .. } => Ok(bytes.min(size.saturating_sub(start))),
            Packing::Whole => {
                let mut content = self.open()?.take(most.saturating_add(1));
                io::copy(&mut content, &mut io::sink())
            }
            Packing::Deflated { crc, .. } => {
                let mut content = CrcReader::new(self.open()?.take(most.saturating_add(1)));
                let length = io::copy(&mut content, &mut io::sink())?;
                if length == most {
                    ensure_checksum(&content, crc)?;
                }
                Ok(length)
            }
        }
    }
}

fn ensure_checksum<R>(content: &CrcReader<R>, crc: u32) -> io::Result<()> {
    if content.crc().sum() == crc {
        return Ok(());
    }
    let reason = "its checksum is another one";
    Err(io::Error::new(io::ErrorKind::InvalidData, reason))
}
