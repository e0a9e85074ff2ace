//! Checkpoints: one safetensors file with everything needed to rebuild the model in its header.
//!
//! The header is JSON under the metadata key `flow`. The writer sorts the tensors, so equal models
//! give equal files.

use crate::config::GlowConfig;
use crate::model::Glow;
use crate::train::{Origin, Progress, ResumeRecord, TrainSettings};
use crate::{Error, Result, finite};
use candle_core::{DType, Device, Tensor, Var};
use flow_core::file::{self, Floats, Piece, one_line};
use flow_core::params::ParamStore;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;

/// The format that this version writes and reads. The largest header is many times what it takes,
/// with names of all classes.
const FORMAT: file::Format = file::Format {
    name: None,
    version: 2,
    max_header: 1 << 22,
};

/// Metadata of a checkpoint, beside its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Version of the format.
    pub version: u32,
    /// Configuration of the model.
    pub model: GlowConfig,
    /// Name of the training data.
    pub dataset: String,
    /// Description of the training data, in the form of the program that trained.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub data: serde_json::Value,
    /// Record of the training; `None` for a model that another program has trained.
    pub training: Option<TrainingRecord>,
    /// The model that the training began with; `None` for a fresh one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// State that only a resumed training needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resume: Option<ResumeRecord>,
}

/// Settings and progress of a training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingRecord {
    /// The settings.
    pub settings: TrainSettings,
    /// Progress of the training.
    pub progress: Progress,
}

impl Header {
    pub(crate) fn new(
        model: GlowConfig,
        dataset: String,
        training: Option<TrainingRecord>,
    ) -> Self {
        Self {
            version: FORMAT.version,
            model,
            dataset,
            data: serde_json::Value::Null,
            training,
            origin: None,
            resume: None,
        }
    }
}

/// A trained model from a file.
pub struct Checkpoint {
    /// The file's metadata.
    pub header: Header,
    /// The model. Its parameters record no graph.
    pub model: Glow,
    /// Its parameters by name, in f32.
    pub weights: ParamStore,
    /// Number of scalar parameters.
    pub parameters: usize,
}

impl Checkpoint {
    /// Loads a `model.safetensors`, or the same averaged weights from a `training.safetensors`.
    ///
    /// # Errors
    /// If the file cannot be read or is not a checkpoint; if its tensors do not match the model in
    /// its header; if a number is not finite, or a matrix is singular.
    pub fn load(path: &Path, device: &Device) -> Result<Self> {
        Self::of(read(path, device)?, path, device)
    }

    /// As [`load`](Self::load), from bytes in memory. Errors call the file `name`.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_bytes(name: &Path, bytes: &[u8], device: &Device) -> Result<Self> {
        let (size, kind) = (bytes.len() as u64, (device, Floats::Finite));
        let content = file::read_from(bytes, size, name, kind, parse)?;
        Self::of(content, name, device)
    }

    fn of(
        (mut header, mut tensors): (Header, BTreeMap<String, Tensor>),
        path: &Path,
        device: &Device,
    ) -> Result<Self> {
        header.resume = None;
        let average = format!("{AVERAGE}/");
        if tensors.keys().any(|name| name.starts_with(&average)) {
            tensors = split_parts(tensors).remove(AVERAGE).unwrap_or_default();
        }
        let refuse = |reason: String| Error::Checkpoint {
            path: path.to_owned(),
            reason,
        };
        let store = ParamStore::from_tensors(tensors)
            .map_err(|error| refuse(Error::from(error).to_string()))?
            .frozen();
        let model = Glow::new(&header.model, store.builder(DType::F32, device))
            .map_err(|error| refuse(error.to_string()))?;
        if let Some(name) = store.unused().first() {
            return Err(refuse(format!(
                "tensor `{name}` does not belong to the model"
            )));
        }
        model
            .check_inverse()
            .map_err(|error| refuse(error.to_string()))?;
        Ok(Self {
            header,
            model,
            parameters: store.element_count(),
            weights: store,
        })
    }

    /// The model in double precision, on the CPU: slow, and exact where f32 is not.
    ///
    /// # Errors
    /// If there is not enough memory for it.
    pub fn in_f64(&self) -> Result<Glow> {
        let convert = |(name, var): (String, Var)| {
            let double = var.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
            candle_core::Result::Ok((name, double))
        };
        let weights = self.weights.vars().into_iter().map(convert);
        let store = ParamStore::from_tensors(weights.collect::<candle_core::Result<Vec<_>>>()?)?;
        let params = store.frozen().builder(DType::F64, &Device::Cpu);
        Glow::new(&self.header.model, params)
    }

    /// Writes a model that another program has trained. `tensors` are its parameters in f32,
    /// `dataset` names its training data.
    ///
    /// # Errors
    /// If the tensors do not match the model, if one holds a number that is not finite, or if the
    /// file cannot be written.
    pub fn save(
        path: &Path,
        model: &GlowConfig,
        dataset: &str,
        tensors: BTreeMap<String, Tensor>,
    ) -> Result<()> {
        for (name, tensor) in &tensors {
            finite::check(name, tensor)?;
        }
        let store = ParamStore::from_tensors(tensors.clone())?;
        Glow::new(model, store.builder(DType::F32, &Device::Cpu))?;
        if let Some(name) = store.unused().first() {
            return Err(Error::Config(format!(
                "tensor `{name}` does not belong to the model"
            )));
        }
        let header = Header::new(model.clone(), dataset.to_owned(), None);
        write(path, &header, tensors)
    }
}

impl Checkpoint {
    /// The bytes of its file.
    ///
    /// # Errors
    /// If there is not enough memory for them.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        bytes(&self.header, self.tensors())
    }

    /// Writes its file, atomically.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        write(path, &self.header, self.tensors())
    }

    fn tensors(&self) -> impl Iterator<Item = (String, Tensor)> {
        let weights = self.weights.vars().into_iter();
        weights.map(|(name, var)| (name, var.as_detached_tensor()))
    }
}

/// The tensors of any safetensors file, by name. Their numbers may be infinite or NaN: see
/// [`finite::check`].
///
/// # Errors
/// As for a checkpoint: [`Error::Tensors`] if the file violates the format.
pub fn read_tensors(path: &Path, device: &Device) -> Result<BTreeMap<String, Tensor>> {
    match file::read(path, device, Floats::Any, |_| Ok(())) {
        Ok(((), tensors)) => Ok(tensors),
        Err(file::Error::Unusable { path, reason }) => Err(Error::Tensors { path, reason }),
        Err(error) => Err(error.into()),
    }
}

/// Prefixes of the tensors of a training state: a part, a slash, the name in the model.
pub(crate) const WEIGHTS: &str = "weights";
pub(crate) const AVERAGE: &str = "average";
pub(crate) const FIRST_MOMENT: &str = "first_moment";
pub(crate) const SECOND_MOMENT: &str = "second_moment";

/// Prefix of the parts of the last good state.
pub(crate) const GOOD: &str = "good";

/// The tensors of each part of a training state, by their names in the model.
pub(crate) fn split_parts(
    tensors: BTreeMap<String, Tensor>,
) -> BTreeMap<String, BTreeMap<String, Tensor>> {
    let mut parts: BTreeMap<String, BTreeMap<String, Tensor>> = BTreeMap::new();
    for (name, tensor) in tensors {
        if let Some((part, name)) = name.split_once('/') {
            parts
                .entry(part.to_owned())
                .or_default()
                .insert(name.to_owned(), tensor);
        }
    }
    parts
}

/// Header and tensors of a checkpoint.
pub(crate) fn read(path: &Path, device: &Device) -> Result<(Header, BTreeMap<String, Tensor>)> {
    Ok(file::read(path, device, Floats::Finite, parse)?)
}

/// Writes a checkpoint atomically: `path` is always the whole old file or the whole new one.
pub(crate) fn write<P: Into<Piece>>(
    path: &Path,
    header: &Header,
    tensors: impl IntoIterator<Item = (String, P)>,
) -> Result<()> {
    Ok(file::write(path, text(header)?, pieces(tensors))?)
}

/// The bytes of a checkpoint.
pub(crate) fn bytes<P: Into<Piece>>(
    header: &Header,
    tensors: impl IntoIterator<Item = (String, P)>,
) -> Result<Vec<u8>> {
    let (mut bytes, name) = (Cursor::default(), Path::new("bytes of a model"));
    file::write_to(&mut bytes, name, text(header)?, pieces(tensors))?;
    Ok(bytes.into_inner())
}

fn text(header: &Header) -> Result<String> {
    let text = serde_json::to_string(header).expect("a header is plain data");
    FORMAT.check_length(&text).map_err(Error::Config)?;
    Ok(text)
}

fn pieces<P: Into<Piece>>(tensors: impl IntoIterator<Item = (String, P)>) -> Vec<(String, Piece)> {
    let tensors = tensors.into_iter();
    tensors
        .map(|(name, tensor)| (name, tensor.into()))
        .collect()
}

fn parse(text: Option<&str>) -> std::result::Result<Header, String> {
    let header: Header = FORMAT.parse(text)?;
    if header.dataset != one_line(&header.dataset) {
        return Err("the header's `dataset` is not a valid name".to_owned());
    }
    if let Some(Origin {
        checkpoint,
        dataset,
        ..
    }) = &header.origin
        && [checkpoint, dataset]
            .into_iter()
            .any(|text| text != &one_line(text))
    {
        return Err("the header's `origin` is not a valid name".to_owned());
    }
    header.model.validate().map_err(|error| error.to_string())?;
    Ok(header)
}
