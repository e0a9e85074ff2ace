//! Writer of safetensors files, tensor by tensor: at most one is copied at a time.

use super::digest::Digest;
use super::scratch::Stored;
use super::{Error, Result};
use crate::{params, transfer};
use atomic_write_file::AtomicWriteFile;
use candle_core::{Device, Tensor};
use safetensors::tensor::{Metadata, TensorInfo};
use safetensors::{Dtype, View};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

/// A tensor in memory, or in a file from which it is read on demand.
#[derive(Clone)]
pub enum Piece {
    /// A tensor in memory.
    Held(Tensor),
    /// A tensor in a file.
    Stored(Stored),
}

impl From<Tensor> for Piece {
    fn from(tensor: Tensor) -> Self {
        Self::Held(tensor)
    }
}

impl Piece {
    /// The tensor, on `device`.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn load(&self, device: &Device) -> Result<Tensor> {
        match self {
            Self::Held(tensor) => Ok(transfer::to_device(tensor, device)?),
            Self::Stored(stored) => stored.load(device),
        }
    }

    /// The tensor on its device; on the CPU if it is stored.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn get(&self) -> Result<Tensor> {
        match self {
            Self::Held(tensor) => Ok(tensor.clone()),
            Self::Stored(stored) => stored.load(&Device::Cpu),
        }
    }

    /// Puts `tensor`, of the same shape and type, in its place.
    ///
    /// # Errors
    /// If the held tensor is not a variable, or the file cannot be written.
    pub fn set(&self, tensor: &Tensor) -> Result<()> {
        match self {
            Self::Held(own) => Ok(params::assign(own, tensor)?),
            Self::Stored(stored) => stored.set(tensor),
        }
    }

    fn dtype(&self) -> Dtype {
        match self {
            Self::Held(tensor) => View::dtype(tensor),
            Self::Stored(stored) => stored.dtype(),
        }
    }

    fn shape(&self) -> &[usize] {
        match self {
            Self::Held(tensor) => tensor.dims(),
            Self::Stored(stored) => stored.shape(),
        }
    }

    fn bytes(&self) -> Result<Cow<'_, [u8]>> {
        match self {
            Self::Held(tensor) => Ok(tensor.data()),
            Self::Stored(stored) => stored.bytes().map(Cow::Owned),
        }
    }
}

/// Writes the tensors, `text` under the metadata key `flow` and the digest, atomically: `path` is
/// always the whole old file or the whole new one. Equal content gives equal bytes.
///
/// # Errors
/// If a file cannot be written or read.
pub fn write(path: &Path, text: String, pieces: Vec<(String, Piece)>) -> Result<()> {
    let refuse = |source| Error::Io {
        action: "write",
        path: path.to_owned(),
        source,
    };
    let mut file = BufWriter::new(AtomicWriteFile::open(path).map_err(refuse)?);
    write_to(&mut file, path, text, pieces)?;
    file.into_inner()
        .map_err(io::IntoInnerError::into_error)
        .and_then(AtomicWriteFile::commit)
        .map_err(refuse)
}

/// Writes the bytes of such a file to the start of `sink`, which errors call `name`.
///
/// # Errors
/// If `sink` cannot be written, or a stored tensor not be read.
pub fn write_to(
    sink: &mut (impl Write + Seek),
    name: &Path,
    text: String,
    mut pieces: Vec<(String, Piece)>,
) -> Result<()> {
    // The order of the crate safetensors, in which all numbers are aligned.
    pieces.sort_by(|(a_name, a), (b_name, b)| {
        (Reverse(a.dtype()), a_name).cmp(&(Reverse(b.dtype()), b_name))
    });
    let mut end = 0;
    let infos = pieces.iter().map(|(name, piece)| {
        let start = end;
        end += piece.shape().iter().product::<usize>() * piece.dtype().bitsize() / 8;
        let info = TensorInfo {
            dtype: piece.dtype(),
            shape: piece.shape().to_vec(),
            data_offsets: (start, end),
        };
        (name.clone(), info)
    });
    let metadata = HashMap::from([("flow".to_owned(), text)]);
    let header =
        Metadata::new(Some(metadata), infos.collect()).map_err(candle_core::Error::from)?;
    let mut header = serde_json::to_string(&header).map_err(candle_core::Error::wrap)?;
    let place = Digest::reserve(&mut header);
    header.extend(std::iter::repeat_n(' ', header.len().wrapping_neg() % 8));
    let mut digest = Digest::of_new(&header);

    let refuse = |source| Error::Io {
        action: "write",
        path: name.to_owned(),
        source,
    };
    sink.write_all(&(header.len() as u64).to_le_bytes())
        .and_then(|()| sink.write_all(header.as_bytes()))
        .map_err(refuse)?;
    for (_, piece) in &pieces {
        let bytes = piece.bytes()?;
        digest.update(&bytes);
        sink.write_all(&bytes).map_err(refuse)?;
    }
    sink.seek(SeekFrom::Start(place))
        .and_then(|_| sink.write_all(digest.finish().as_bytes()))
        .map_err(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::Scratch;
    use crate::random;
    use candle_core::DType;

    #[test]
    fn files_are_those_of_the_crate_safetensors() {
        let folder = tempfile::tempdir().unwrap();
        let scratch = Scratch::create(folder.path(), "scratch").unwrap();
        let normal = |seed, dtype| random::normal(seed, (3, 5), dtype, &Device::Cpu).unwrap();
        let tensors = [
            ("b", normal(0, DType::F32)),
            ("a", normal(1, DType::F64)),
            ("c", normal(2, DType::F32)),
            (
                "a.scale",
                Tensor::ones((), DType::F32, &Device::Cpu).unwrap(),
            ),
        ];
        let mut end = 0;
        let pieces = tensors.iter().enumerate().map(|(i, (name, tensor))| {
            let piece = match i % 2 {
                0 => Piece::Stored(scratch.put(&mut end, tensor).unwrap()),
                _ => Piece::Held(tensor.clone()),
            };
            ((*name).to_owned(), piece)
        });
        let path = folder.path().join("file");
        write(&path, "text".to_owned(), pieces.collect()).unwrap();
        let metadata = HashMap::from([("flow".to_owned(), "text".to_owned())]);
        let expected = safetensors::serialize(tensors, Some(metadata)).unwrap();
        let parts = |bytes: &[u8]| {
            let start = 8 + u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
            assert!(start.is_multiple_of(8), "numbers are aligned");
            let header: serde_json::Value = serde_json::from_slice(&bytes[8..start]).unwrap();
            (header, bytes[start..].to_vec())
        };
        let (mut header, numbers) = parts(&std::fs::read(path).unwrap());
        let metadata = header["__metadata__"].as_object_mut().unwrap();
        assert_eq!(
            metadata.remove("sha256").unwrap().as_str().unwrap().len(),
            64
        );
        assert_eq!((header, numbers), parts(&expected));
    }
}
