//! Safetensors files with a text under the metadata key `flow`: a reader for untrusted ones, and a
//! writer that never leaves half a file.
//!
//! The crate safetensors needs the whole file in memory and allocates whatever a header announces.
//! Here the header is checked against the file's size first, and tensors are read one by one.
//!
//! Files hold their SHA-256 under the metadata key `sha256`, taken with zeros in its place. Files of
//! earlier versions lack it.

mod digest;
mod error;
mod foreign;
mod format;
mod header;
mod scratch;
mod write;

pub use error::Error;
pub use format::Format;
pub use scratch::{Scratch, Stored};
pub use write::{Piece, write, write_to};

use crate::{first_non_finite, transfer};
use candle_core::{DType, Device, Tensor};
use digest::Digest;
use header::{Entry, Header};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// `Result` with this module's [`Error`].
type Result<T> = std::result::Result<T, Error>;

/// Floats that a file may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Floats {
    /// All floats, infinity and NaN too.
    Any,
    /// Finite floats.
    Finite,
}

/// Bytes before the header, which hold its length.
const PREFIX: u64 = 8;

/// Reads the text under the metadata key `flow`, passes it to `parse` (`None` if it is absent), and
/// reads the tensors if that succeeds.
///
/// Memory is at most four times the file's size and two mebibytes.
///
/// # Errors
/// If the file cannot be read, violates the format, or differs from its digest; if it holds other
/// numbers than `floats`; or with the reason that `parse` gives.
pub fn read<T>(
    path: &Path,
    device: &Device,
    floats: Floats,
    parse: impl FnOnce(Option<&str>) -> std::result::Result<T, String>,
) -> Result<(T, BTreeMap<String, Tensor>)> {
    let (file, size) = open(path).map_err(|fault| fault.of(path))?;
    read_from(file, size, path, (device, floats), parse)
}

/// As [`read`], from a source of `size` bytes that errors call `name`.
///
/// # Errors
/// As [`read`].
pub fn read_from<T>(
    mut source: impl Read,
    size: u64,
    name: &Path,
    (device, floats): (&Device, Floats),
    parse: impl FnOnce(Option<&str>) -> std::result::Result<T, String>,
) -> Result<(T, BTreeMap<String, Tensor>)> {
    let load = || {
        let text = header_text(&mut source, size, name)?;
        let header = Header::parse(&text, size).map_err(Fault::Format)?;
        let data = size - PREFIX - text.len() as u64;
        header.check(data).map_err(Fault::Format)?;
        let parsed = parse(header.text.as_deref()).map_err(Fault::Refused)?;
        let saved = header.digest.as_deref();
        let mut digest = saved.map(|saved| Digest::of(&text, saved));
        let tensors = header.entries.iter().map(|entry| {
            let bytes = numbers(entry, &mut source)?;
            if let Some(digest) = &mut digest {
                digest.update(&bytes);
            }
            tensor(entry, &bytes, device, floats)
        });
        let tensors = tensors.collect::<std::result::Result<_, _>>()?;
        if digest.map(Digest::finish).as_deref() != saved {
            let reason = "it is damaged: its SHA-256 is not the one that it was written with";
            return Err(Fault::Refused(reason.to_owned()));
        }
        Ok((parsed, tensors))
    };
    load().map_err(|fault: Fault| fault.of(name))
}

/// `text` as part of a message of one line: a file may hold any text of any length.
pub fn one_line(text: impl Display) -> String {
    const MOST: usize = 300;
    let text = text.to_string();
    let mut line: String = text
        .chars()
        .take(MOST)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if line.len() < text.len() {
        line.push('…');
    }
    line
}

/// Reason for not reading a file.
enum Fault {
    Format(String),
    Refused(String),
    Io(io::Error),
    Tensor(candle_core::Error),
}

impl Fault {
    /// The fault of a file that begins with `bytes`: its format if another one is detected,
    /// otherwise the `reason` why its header is invalid.
    fn unreadable(bytes: &[u8], path: &Path, reason: String) -> Self {
        match foreign::explain(bytes, path) {
            Some(explanation) => Self::Refused(explanation),
            None => Self::Format(reason),
        }
    }

    fn of(self, path: &Path) -> Error {
        let path = path.to_owned();
        let reason = match self {
            Self::Format(reason) => format!("it is not a safetensors file ({reason})"),
            Self::Refused(reason) => reason,
            Self::Io(source) => {
                return Error::Io {
                    action: "read",
                    path,
                    source,
                };
            }
            Self::Tensor(error) => return Error::Tensor(error),
        };
        Error::Unusable { path, reason }
    }
}

/// A file and its size.
fn open(path: &Path) -> std::result::Result<(File, u64), Fault> {
    // Devices and pipes have no size, and reading a pipe without a writer blocks for ever.
    if path.is_dir() {
        let reason = "it is a folder; name the file in it, such as `model.safetensors`";
        return Err(Fault::Refused(reason.to_owned()));
    }
    if path.exists() && !path.is_file() {
        return Err(Fault::Refused("it is not a file".to_owned()));
    }
    let file = File::open(path).map_err(Fault::Io)?;
    let size = file.metadata().map_err(Fault::Io)?.len();
    Ok((file, size))
}

fn header_text(
    source: &mut impl Read,
    size: u64,
    path: &Path,
) -> std::result::Result<String, Fault> {
    let mut start = Vec::new();
    let prefix = source.by_ref().take(PREFIX).read_to_end(&mut start);
    prefix.map_err(Fault::Io)?;
    let Some(length) = start.first_chunk().copied().map(u64::from_le_bytes) else {
        let reason = match size {
            0 => "it is empty",
            _ => "its header is cut off",
        };
        return Err(Fault::unreadable(&start, path, reason.to_owned()));
    };
    if length > size - PREFIX {
        let more = source
            .by_ref()
            .take(foreign::PREFIX_LENGTH)
            .read_to_end(&mut start);
        more.map_err(Fault::Io)?;
        let reason = format!("it announces a header of {length} bytes but holds {size}");
        return Err(Fault::unreadable(&start, path, reason));
    }
    let mut text = vec![0; length as usize];
    source.read_exact(&mut text).map_err(Fault::Io)?;
    String::from_utf8(text).map_err(|error| {
        let rest = error
            .as_bytes()
            .iter()
            .take(foreign::PREFIX_LENGTH as usize);
        start.extend(rest);
        Fault::unreadable(&start, path, "its header is not UTF-8 text".to_owned())
    })
}

/// The bytes of a tensor in `source`, which stands at its beginning.
fn numbers(entry: &Entry<'_>, source: &mut impl Read) -> std::result::Result<Vec<u8>, Fault> {
    let mut bytes = vec![0; entry.length() as usize];
    source.read_exact(&mut bytes).map_err(Fault::Io)?;
    Ok(bytes)
}

fn tensor(
    entry: &Entry<'_>,
    bytes: &[u8],
    device: &Device,
    floats: Floats,
) -> std::result::Result<(String, Tensor), Fault> {
    let dtype = DType::try_from(entry.dtype).map_err(Fault::Tensor)?;
    let tensor = Tensor::from_raw_buffer(bytes, dtype, entry.shape.as_slice(), &Device::Cpu);
    let tensor = tensor.map_err(Fault::Tensor)?;
    if floats == Floats::Finite
        && let Some((index, value)) = first_non_finite(&tensor).map_err(Fault::Tensor)?
    {
        let name = entry.name;
        let reason = format!("tensor `{name}` holds {value} at {index:?}");
        return Err(Fault::Refused(reason));
    }
    let tensor = transfer::from_host(&tensor, device).map_err(Fault::Tensor)?;
    Ok((entry.name.to_owned(), tensor))
}
