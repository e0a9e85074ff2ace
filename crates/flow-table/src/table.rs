//! The place of a table.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use crate::{Error, Head, Result, read};

/// The name that stands for standard input.
const STDIN: &str = "-";

/// Bytes of a file that are looked at before it is read.
const PEEKED: usize = 1 << 16;

/// A table in a CSV or Parquet file, or CSV on standard input.
pub struct Table {
    name: String,
    origin: Origin,
}

enum Origin {
    Path(PathBuf),
    Stdin,
    /// A copy of what can be read once.
    Copy(NamedTempFile),
}

impl Table {
    /// The table at a path; `-` is standard input.
    pub fn at(path: &Path) -> Self {
        let (name, origin) = if path == Path::new(STDIN) {
            ("standard input".to_owned(), Origin::Stdin)
        } else {
            let name = format!("`{}`", path.display());
            (name, Origin::Path(path.to_owned()))
        };
        Self { name, origin }
    }

    /// The file in quotes, or standard input.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A table that can be read several times: standard input and pipes are copied to a temporary
    /// file first.
    ///
    /// # Errors
    /// If it cannot be read, or the copy cannot be written.
    pub fn repeatable(self) -> Result<Self> {
        let once = match &self.origin {
            Origin::Stdin => true,
            Origin::Path(path) => {
                let metadata = fs::metadata(path).map_err(self.io())?;
                !metadata.is_file() && !metadata.is_dir()
            }
            Origin::Copy(_) => false,
        };
        if !once {
            return Ok(self);
        }
        let mut copy = NamedTempFile::new()?;
        io::copy(&mut self.source()?, &mut copy).map_err(self.io())?;
        Ok(Self {
            origin: Origin::Copy(copy),
            ..self
        })
    }

    /// Opens the table and reads the names of its columns.
    ///
    /// # Errors
    /// If it cannot be read, is empty, or is neither CSV nor Parquet.
    pub fn open(&self) -> Result<Head> {
        let mut source = BufReader::with_capacity(PEEKED, self.source()?);
        let start = source.fill_buf().map_err(self.io())?;
        if start.is_empty() {
            return Err(self.fault("is empty"));
        }
        if start.starts_with(b"PAR1") {
            return read::parquet(&self.name, self.seekable()?);
        }
        let binary = start.contains(&0).then_some("binary");
        if let Some(format) = foreign(start).or(binary) {
            return Err(self.fault(&format!("is {format}, neither CSV nor Parquet")));
        }
        let separator = read::separator(start);
        read::delimited(&self.name, Box::new(source), separator)
    }

    fn source(&self) -> Result<Box<dyn Read>> {
        Ok(match &self.origin {
            Origin::Stdin => Box::new(io::stdin().lock()),
            Origin::Path(_) | Origin::Copy(_) => Box::new(self.seekable()?),
        })
    }

    fn seekable(&self) -> Result<File> {
        match &self.origin {
            Origin::Stdin => Err(self.fault("is Parquet, which is read from a file only")),
            Origin::Path(path) => {
                if path.is_dir() {
                    return Err(self.fault("is a folder"));
                }
                File::open(path).map_err(self.io())
            }
            Origin::Copy(copy) => copy.reopen().map_err(self.io()),
        }
    }

    fn io(&self) -> impl FnOnce(io::Error) -> Error {
        let table = self.name.clone();
        move |source| Error::Io { table, source }
    }

    fn fault(&self, reason: &str) -> Error {
        Error::Table {
            table: self.name.clone(),
            reason: reason.to_owned(),
        }
    }
}

/// The format of a file that is no text, by its first bytes.
fn foreign(start: &[u8]) -> Option<&'static str> {
    let formats: [(&[u8], &str); 8] = [
        (b"\x1f\x8b", "compressed by gzip"),
        (b"\x28\xb5\x2f\xfd", "compressed by zstd"),
        (b"PK\x03\x04", "a zip archive or an Excel file"),
        (b"\x89HDF", "an HDF5 file"),
        (b"\x93NUMPY", "an array of NumPy"),
        (b"ARROW1", "a Feather file"),
        (b"\xff\xfe", "UTF-16, not UTF-8"),
        (b"\xfe\xff", "UTF-16, not UTF-8"),
    ];
    let mut formats = formats.into_iter();
    formats.find_map(|(magic, name)| start.starts_with(magic).then_some(name))
}
