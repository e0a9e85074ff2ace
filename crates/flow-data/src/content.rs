//! The content of files that may be under gzip.

use std::{
    fs,
    io::{self, BufRead, BufReader, ErrorKind, Read},
    path::Path,
};

use flate2::bufread::GzDecoder;

use crate::{Error, Result};

/// The first bytes of every gzip member (RFC 1952).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The content of a file, uncompressed if it starts as gzip does.
///
/// # Errors
///
/// It is not a file, or cannot be read.
pub fn open(path: &Path) -> Result<Box<dyn Read>> {
    // A pipe may have no end, or no writer.
    if path.exists() && !path.is_file() {
        return Err(Error::Format {
            path: path.to_owned(),
            reason: "is not a file".to_owned(),
        });
    }
    fs::File::open(path)
        .and_then(|file| uncompressed(BufReader::new(file)))
        .map_err(|source| Error::Io {
            path: path.to_owned(),
            source,
        })
}

/// `content`, uncompressed if it starts like gzip. The output may be a thousand times as large: the
/// reader sets the limit.
pub fn uncompressed<'a>(mut content: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
    Ok(if is_gzip(&mut content)? {
        Box::new(Gzip::new(content))
    } else {
        Box::new(content)
    })
}

/// True if `content` starts like gzip.
pub(crate) fn is_gzip(content: &mut impl BufRead) -> io::Result<bool> {
    Ok(content.fill_buf()?.starts_with(&GZIP_MAGIC))
}

/// Passes over the next `bytes` of `content`.
pub(crate) fn skip(content: &mut impl Read, bytes: u64) -> io::Result<()> {
    match io::copy(&mut content.take(bytes), &mut io::sink())? {
        passed if passed == bytes => Ok(()),
        _ => Err(ErrorKind::UnexpectedEof.into()),
    }
}

/// The content of gzip members one after the other. Zeros behind a member are skipped: tapes and
/// downloads are padded with them, and `gzip` and Python skip them too.
pub(crate) struct Gzip<R> {
    /// The present member; nothing at the end.
    member: Option<GzDecoder<R>>,
    is_first: bool,
}

impl<R: BufRead> Gzip<R> {
    pub(crate) fn new(content: R) -> Self {
        Self {
            member: Some(GzDecoder::new(content)),
            is_first: true,
        }
    }

    /// The member that begins in `rest`, if zeros are not all that is there.
    fn next_member(mut rest: R) -> io::Result<Option<GzDecoder<R>>> {
        loop {
            let buffer = rest.fill_buf()?;
            let zeros = buffer.iter().take_while(|&&byte| byte == 0).count();
            if zeros == 0 {
                let ended = buffer.is_empty();
                return Ok((!ended).then(|| GzDecoder::new(rest)));
            }
            rest.consume(zeros);
        }
    }
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            match member.read(buffer) {
                Ok(0) if !buffer.is_empty() => {
                    let ended = self.member.take().map(GzDecoder::into_inner);
                    self.member = ended.map(Self::next_member).transpose()?.flatten();
                    self.is_first = false;
                }
                Err(error) if member.header().is_none() => {
                    return Err(header_fault(error, self.is_first));
                }
                result => return result,
            }
        }
        Ok(0)
    }
}

/// The reason why no member begins here.
fn header_fault(error: io::Error, is_first: bool) -> io::Error {
    let what = match (error.kind(), is_first) {
        (ErrorKind::InvalidInput, true) => "its gzip header is damaged",
        (ErrorKind::InvalidInput | ErrorKind::UnexpectedEof, false) => {
            "behind the gzip data stand bytes that do not belong to it"
        }
        _ => return error,
    };
    io::Error::new(ErrorKind::InvalidData, what)
}

/// True if both have the same content, byte for byte.
pub(crate) fn is_same(a: &Path, b: &Path) -> Result<bool> {
    let open = |path| open(path).map(BufReader::new);
    let (mut a, mut b) = (open(a)?.bytes(), open(b)?.bytes());
    loop {
        match (a.next().transpose(), b.next().transpose()) {
            (Ok(None), Ok(None)) => return Ok(true),
            (Ok(a), Ok(b)) if a == b => {}
            _ => return Ok(false),
        }
    }
}
