//! Checkpoints: one safetensors file with everything needed to rebuild the model in its header.
//!
//! The header is JSON under the single metadata key `flow`: with several keys the order, and so the
//! file's bytes, would differ from run to run. Tensors are sorted by the writer; equal models give
//! equal files.

use crate::config::GlowConfig;
use crate::model::Glow;
use crate::train::{Progress, TrainSettings};
use crate::{Error, Result};
use atomic_write_file::AtomicWriteFile;
use candle_core::{DType, Device, Tensor};
use flow_core::params::ParamStore;
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;

/// The format that this version writes and reads.
const VERSION: u32 = 1;

/// The metadata key of the header.
const KEY: &str = "flow";

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
    /// How far and how.
    pub training: TrainingRecord,
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
    pub(crate) fn new(model: GlowConfig, dataset: String, training: TrainingRecord) -> Self {
        Self {
            version: VERSION,
            model,
            dataset,
            training,
        }
    }
}

/// A trained model from a file.
pub struct Checkpoint {
    /// What the file says of it.
    pub header: Header,
    /// The model; its parameters record no graph.
    pub model: Glow,
    /// How many numbers its parameters hold.
    pub parameters: usize,
}

impl Checkpoint {
    /// Loads a `model.safetensors`, or the same averaged weights from a `training.safetensors`.
    ///
    /// # Errors
    /// If the file cannot be read, is not a checkpoint, or its tensors are not those of the model that
    /// its header describes.
    pub fn load(path: &Path, device: &Device) -> Result<Self> {
        let (header, mut tensors) = read(path, device)?;
        let mut parts = split_parts(&tensors);
        if let Some(average) = parts.remove(AVERAGE) {
            tensors = average;
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
        Ok(Self {
            header,
            model,
            parameters: store.element_count(),
        })
    }
}

/// The parts of a training state; in its file, each stands before the model's names and a slash.
pub(crate) const WEIGHTS: &str = "weights";
pub(crate) const AVERAGE: &str = "average";
pub(crate) const FIRST_MOMENT: &str = "first_moment";
pub(crate) const SECOND_MOMENT: &str = "second_moment";

/// The tensors of each part of a training state, by their names in the model.
pub(crate) fn split_parts(
    tensors: &BTreeMap<String, Tensor>,
) -> BTreeMap<String, BTreeMap<String, Tensor>> {
    let mut parts: BTreeMap<String, BTreeMap<String, Tensor>> = BTreeMap::new();
    for (name, tensor) in tensors {
        if let Some((part, name)) = name.split_once('/') {
            parts
                .entry(part.to_owned())
                .or_default()
                .insert(name.to_owned(), tensor.clone());
        }
    }
    parts
}

/// Header and tensors of a checkpoint.
pub(crate) fn read(path: &Path, device: &Device) -> Result<(Header, BTreeMap<String, Tensor>)> {
    let refuse = |reason: &str| Error::Checkpoint {
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    // A device or a pipe has no end.
    if path.exists() && !path.is_file() {
        return Err(refuse("it is not a file"));
    }
    let bytes = std::fs::read(path).map_err(|source| Error::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    let (_, metadata) = SafeTensors::read_metadata(&bytes)
        .map_err(|error| refuse(&format!("it is not a safetensors file ({error})")))?;
    let Some(text) = metadata
        .metadata()
        .as_ref()
        .and_then(|entries| entries.get(KEY))
    else {
        return Err(refuse(
            "it has no header of this program, so it was written by another",
        ));
    };
    let header = parse(text).map_err(|reason| refuse(&reason))?;
    let tensors = candle_core::safetensors::load_buffer(&bytes, device)
        .map_err(|error| refuse(&Error::from(error).to_string()))?;
    Ok((header, tensors.into_iter().collect()))
}

/// Writes a checkpoint such that `path` is at every moment the old file or the new one, whole.
pub(crate) fn write(path: &Path, header: &Header, tensors: Vec<(String, Tensor)>) -> Result<()> {
    let text = serde_json::to_string(header).expect("a header is plain data");
    let bytes = safetensors::serialize(tensors, Some(HashMap::from([(KEY.to_owned(), text)])))
        .map_err(candle_core::Error::from)?;
    let save = || {
        let mut file = AtomicWriteFile::open(path)?;
        file.write_all(&bytes)?;
        file.commit()
    };
    save().map_err(|source| Error::Io {
        action: "write",
        path: path.to_owned(),
        source,
    })
}

/// The version is read first: a header of another one may not parse as ours.
fn parse(text: &str) -> std::result::Result<Header, String> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let broken = |error: serde_json::Error| format!("its header cannot be read ({error})");
    let Version { version } = serde_json::from_str(text).map_err(broken)?;
    if version != VERSION {
        return Err(format!(
            "its format is version {version}, and this program reads version {VERSION}"
        ));
    }
    serde_json::from_str(text).map_err(broken)
}
