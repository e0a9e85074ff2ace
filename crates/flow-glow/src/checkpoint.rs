//! Checkpoints: one safetensors file with everything needed to rebuild the model in its header.
//!
//! The header is JSON under the single metadata key `flow`: with several keys the order, and so the
//! file's bytes, would differ from run to run. Tensors are sorted by the writer; equal models give
//! equal files.

use crate::config::GlowConfig;
use crate::model::Glow;
use crate::tensor_file::{self, Floats, Piece, one_line};
use crate::train::{Origin, Progress, ResumeRecord, TrainSettings};
use crate::{Error, Result, finite};
use candle_core::{DType, Device, Tensor, Var};
use flow_core::params::ParamStore;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The format that this version writes and reads.
const VERSION: u32 = 2;

/// The metadata key of the header.
const KEY: &str = "flow";

/// Bytes of the header: many times what it takes.
const MAX_HEADER: usize = 1 << 16;

/// What a checkpoint holds beside its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Version of the format.
    pub version: u32,
    /// What the model is.
    pub model: GlowConfig,
    /// What it was trained on.
    pub dataset: String,
    /// How far and how; nothing for a model that another program has trained.
    pub training: Option<TrainingRecord>,
    /// The model that the training began with, if it was not a fresh one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// What only going on with the training needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resume: Option<ResumeRecord>,
}

/// How a model was trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingRecord {
    /// The settings.
    pub settings: TrainSettings,
    /// Where training stood.
    pub progress: Progress,
}

impl Header {
    pub(crate) fn new(
        model: GlowConfig,
        dataset: String,
        training: Option<TrainingRecord>,
    ) -> Self {
        Self {
            version: VERSION,
            model,
            dataset,
            training,
            origin: None,
            resume: None,
        }
    }
}

/// A trained model from a file.
pub struct Checkpoint {
    /// What the file says of it.
    pub header: Header,
    /// The model; its parameters record no graph.
    pub model: Glow,
    /// Its parameters by name, in f32.
    pub weights: ParamStore,
    /// How many numbers its parameters hold.
    pub parameters: usize,
}

impl Checkpoint {
    /// Loads a `model.safetensors`, or the same averaged weights from a `training.safetensors`.
    ///
    /// # Errors
    /// If the file cannot be read, is not a checkpoint, or its tensors are not those of the model that
    /// its header describes, or hold a number that is not finite, or a matrix that has no inverse.
    pub fn load(path: &Path, device: &Device) -> Result<Self> {
        Self::of(read(path, device)?, path, device)
    }

    /// As [`load`](Self::load), of a file that lies in memory. `name` is what errors call it.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_bytes(name: &Path, bytes: &[u8], device: &Device) -> Result<Self> {
        let (size, kind) = (bytes.len() as u64, (device, Floats::Finite));
        let content = tensor_file::read_from(bytes, size, name, kind, parse_own)?;
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

    /// Writes a model that another program has trained: `tensors` are its parameters in f32, `dataset` names
    /// what it was trained on.
    ///
    /// # Errors
    /// If the tensors are not those of such a model, or hold a number that is not finite, or the
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

/// The parts of a training state; in its file, each stands before the model's names and a slash.
pub(crate) const WEIGHTS: &str = "weights";
pub(crate) const AVERAGE: &str = "average";
pub(crate) const FIRST_MOMENT: &str = "first_moment";
pub(crate) const SECOND_MOMENT: &str = "second_moment";

/// The part that holds the parts of the last good state.
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
    tensor_file::read(path, device, Floats::Finite, parse_own)
}

fn parse_own(text: Option<&str>) -> std::result::Result<Header, String> {
    match text {
        Some(text) => parse(text),
        None => Err("it has no header of this program, so it was written by another".to_owned()),
    }
}

/// Writes a checkpoint such that `path` is at every moment the old file or the new one, whole.
pub(crate) fn write<P: Into<Piece>>(
    path: &Path,
    header: &Header,
    tensors: impl IntoIterator<Item = (String, P)>,
) -> Result<()> {
    let text = serde_json::to_string(header).expect("a header is plain data");
    if text.len() > MAX_HEADER {
        let reason = "the notes of a training are longer than a checkpoint may hold";
        return Err(Error::Config(reason.into()));
    }
    let pieces = tensors
        .into_iter()
        .map(|(name, tensor)| (name, tensor.into()));
    tensor_file::write(path, (KEY, text), pieces.collect())
}

/// The version is read first: a header of another one may not parse as ours.
fn parse(text: &str) -> std::result::Result<Header, String> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let broken =
        |error: serde_json::Error| format!("its header cannot be read ({})", one_line(error));
    if text.len() > MAX_HEADER {
        return Err("its header is longer than any of this program".to_owned());
    }
    let Version { version } = serde_json::from_str(text).map_err(broken)?;
    if version != VERSION {
        return Err(format!(
            "its format is version {version}, and this program reads version {VERSION}"
        ));
    }
    let header: Header = serde_json::from_str(text).map_err(broken)?;
    if header.dataset != one_line(&header.dataset) {
        return Err("its header names a data set by what is no name".to_owned());
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
        return Err("its header names the model it began with by what is no name".to_owned());
    }
    header.model.validate().map_err(|error| error.to_string())?;
    Ok(header)
}
