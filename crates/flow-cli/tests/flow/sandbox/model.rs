//! Models that nobody trained, files of tensors, and checkpoints that are changed.

use std::collections::{BTreeMap, HashMap};

use candle_core::{DType, Device, Tensor};
use flow_core::{check, params::ParamStore};
use flow_glow::{Checkpoint, Glow, GlowConfig, ImageShape, read_tensors};
use flow_testing::damage::without_digest;
use serde_json::Value;

use super::Sandbox;

/// A small model.
pub(crate) fn small(image: ImageShape, classes: Option<usize>) -> GlowConfig {
    GlowConfig {
        steps: 2,
        width: 6,
        classes,
        ..GlowConfig::small(image)
    }
}

impl Sandbox {
    /// A folder with a model of random weights, `model.safetensors`.
    pub(crate) fn with_model(config: &GlowConfig) -> Self {
        let sandbox = Self::new();
        sandbox.write_model("model.safetensors", config, 0.05);
        sandbox
    }

    /// A folder with a small model for `image`.
    pub(crate) fn with_small_model(image: ImageShape, classes: Option<usize>) -> Self {
        Self::with_model(&small(image, classes))
    }

    /// stdout of a command with that model, which must succeed.
    #[track_caller]
    pub(crate) fn of_model(&self, words: &str) -> String {
        self.ok(&format!("{words} --checkpoint model.safetensors"))
    }

    /// Writes a model whose weights lie so far, in standard deviations, from those that training
    /// begins with.
    pub(crate) fn write_model(&self, name: &str, config: &GlowConfig, spread: f64) {
        let store = ParamStore::new(1);
        Glow::new(config, store.builder(DType::F32, &Device::Cpu)).unwrap();
        check::randomize(&store, 1, spread).unwrap();
        let tensors = store.vars().into_iter();
        let tensors = tensors.map(|(name, var)| (name, var.into_inner()));
        Checkpoint::save(&self.path(name), config, "mnist", tensors.collect()).unwrap();
    }

    /// Reads a checkpoint.
    pub(crate) fn checkpoint(&self, name: &str) -> Checkpoint {
        Checkpoint::load(&self.path(name), &Device::Cpu).unwrap()
    }

    pub(crate) fn write_tensors(&self, name: &str, tensors: &[(&str, &Tensor)]) {
        let tensors = tensors.iter();
        let tensors = tensors.map(|(name, tensor)| (*name, (*tensor).clone()));
        let tensors = tensors.collect::<HashMap<_, _>>();
        candle_core::safetensors::save(&tensors, self.path(name)).unwrap();
    }

    pub(crate) fn read_tensors(&self, name: &str) -> BTreeMap<String, Tensor> {
        read_tensors(&self.path(name), &Device::Cpu).unwrap()
    }
}

/// The JSON in front of the tensors, and those.
fn parts(checkpoint: &[u8]) -> (Value, &[u8]) {
    let (length, rest) = checkpoint.split_at(8);
    let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
    let (json, tensors) = rest.split_at(length);
    (serde_json::from_slice(json).unwrap(), tensors)
}

/// The bytes behind the header of a checkpoint.
pub(crate) fn tensors(checkpoint: &[u8]) -> &[u8] {
    parts(checkpoint).1
}

/// Configuration, settings and progress of a checkpoint.
pub(crate) fn header(checkpoint: &[u8]) -> Value {
    let (json, _) = parts(checkpoint);
    serde_json::from_str(json["__metadata__"]["flow"].as_str().unwrap()).unwrap()
}

/// The checkpoint with another header, and without a digest.
pub(crate) fn with_header(checkpoint: &[u8], header: &Value) -> Vec<u8> {
    let (mut json, tensors) = parts(checkpoint);
    json["__metadata__"] = serde_json::json!({ "flow": header.to_string() });
    let json = json.to_string();
    let length = (json.len() as u64).to_le_bytes();
    [&length[..], json.as_bytes(), tensors].concat()
}

/// The checkpoint with one tensor, of f32, changed, and without a digest.
pub(crate) fn with_tensor(
    checkpoint: &[u8],
    name: &str,
    change: impl FnOnce(&mut [f32]),
) -> Vec<u8> {
    let (json, tensors) = parts(checkpoint);
    let before = checkpoint.len() - tensors.len();
    let [start, end] = [0, 1].map(|i| {
        let offset = json[name]["data_offsets"][i].as_u64().unwrap();
        before + offset as usize
    });
    let mut changed = without_digest(checkpoint);
    let numbers = changed[start..end].chunks_exact(4);
    let mut numbers = numbers
        .map(|number| f32::from_le_bytes(number.try_into().unwrap()))
        .collect::<Vec<_>>();
    change(&mut numbers);
    let numbers = numbers.into_iter().flat_map(f32::to_le_bytes);
    changed.splice(start..end, numbers);
    changed
}
