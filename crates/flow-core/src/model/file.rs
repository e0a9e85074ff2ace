//! Files of models: parameters, and in the header everything that rebuilds the flow.

use super::Model;
use crate::Architecture;
use crate::file::{self, Error, Floats, Piece, one_line};
use crate::params::ParamStore;
use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;

/// The format that this version writes and reads.
const FORMAT: file::Format = file::Format {
    name: Some("vectors"),
    version: 1,
    max_header: 1 << 24,
};

/// Numbers of a sample that a file without parameters may have.
const PERMUTED: usize = 1 << 12;

/// Marks headers of models, beside those of images.
#[derive(Clone, Copy, Serialize, Deserialize)]
enum Format {
    #[serde(rename = "vectors")]
    Vectors,
}

/// The type of all numbers, also of a model without parameters.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Precision {
    F32,
    F64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: Format,
    version: u32,
    dtype: Precision,
    architecture: Architecture,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    notes: Value,
}

impl Model {
    /// Writes the model to a safetensors file, atomically: `path` is always the whole old file or
    /// the whole new one. Equal models give equal files.
    ///
    /// # Errors
    /// If a parameter is not finite, or the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let (header, pieces) = self.content(path)?;
        file::write(path, header, pieces)
    }

    /// The bytes of the file that [`save`](Self::save) writes.
    ///
    /// # Errors
    /// If a parameter is not finite.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let (name, mut bytes) = (Path::new("bytes of a model"), Cursor::default());
        let (header, pieces) = self.content(name)?;
        file::write_to(&mut bytes, name, header, pieces)?;
        Ok(bytes.into_inner())
    }

    /// Reads a model that [`save`](Self::save) wrote, to fit it further, score or sample. It has
    /// the same bits.
    ///
    /// # Errors
    /// If the file cannot be read, holds something else, or its tensors are not those of the flow
    /// that its header describes.
    pub fn load(path: &Path, device: &Device) -> Result<Self, Error> {
        let content = file::read(path, device, Floats::Finite, |text| FORMAT.parse(text))?;
        Self::of(content, path, device)
    }

    /// Reads the `bytes` of such a file, which errors call `name`.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_bytes(name: &Path, bytes: &[u8], device: &Device) -> Result<Self, Error> {
        let size = bytes.len() as u64;
        let content = file::read_from(bytes, size, name, (device, Floats::Finite), |text| {
            FORMAT.parse(text)
        })?;
        Self::of(content, name, device)
    }

    /// The header and the parameters of its file.
    fn content(&self, path: &Path) -> Result<(String, Vec<(String, Piece)>), Error> {
        let refuse = |reason: String| Error::Unusable {
            path: path.to_owned(),
            reason,
        };
        let header = Header {
            format: Format::Vectors,
            version: FORMAT.version,
            dtype: match self.dtype {
                DType::F64 => Precision::F64,
                DType::F32 => Precision::F32,
                other => return Err(refuse(format!("numbers of {other:?} are not kept"))),
            },
            architecture: self.architecture.clone(),
            notes: self.notes.clone(),
        };
        let text = serde_json::to_string(&header).map_err(|error| refuse(one_line(error)))?;
        FORMAT.check_length(&text).map_err(refuse)?;
        let mut pieces = Vec::new();
        for (name, var) in self.params.vars() {
            if let Some((index, value)) = crate::first_non_finite(&var)? {
                let reason = format!("its parameter `{name}` is {value} at {index:?}");
                return Err(refuse(reason));
            }
            pieces.push((name, var.as_detached_tensor().into()));
        }
        Ok((text, pieces))
    }

    fn of(
        (header, tensors): (Header, BTreeMap<String, Tensor>),
        path: &Path,
        device: &Device,
    ) -> Result<Self, Error> {
        Self::built(header, tensors, device).map_err(|error| Error::Unusable {
            path: path.to_owned(),
            reason: one_line(error),
        })
    }

    fn built(
        header: Header,
        tensors: BTreeMap<String, Tensor>,
        device: &Device,
    ) -> Result<Self, candle_core::Error> {
        let stored = tensors.values().map(Tensor::elem_count).sum::<usize>();
        if header.architecture.largest() > stored.max(PERMUTED) {
            candle_core::bail!("its sizes are larger than its tensors");
        }
        let dtype = match header.dtype {
            Precision::F32 => DType::F32,
            Precision::F64 => DType::F64,
        };
        let params = ParamStore::from_tensors(tensors)?;
        let mut model = Self::with(header.architecture, params, dtype, device)?;
        if let Some(name) = model.params.unused().first() {
            candle_core::bail!("tensor `{name}` does not belong to the model");
        }
        model.notes = header.notes;
        Ok(model)
    }
}
