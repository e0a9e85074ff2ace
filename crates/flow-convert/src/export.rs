//! A state dict for a peer, and the model that it belongs to.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result};
use candle_core::Tensor;
use flow_glow::GlowConfig;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::convert_checkpoint::parameters::to_single;

/// Tensors by name, as bytes, and what the peer's model is built with.
pub(in crate::convert_checkpoint) struct Export {
    tensors: BTreeMap<String, Raw>,
    model: Map<String, Value>,
}

struct Raw {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Export {
    /// For a model of `kind` and of this size.
    pub(super) fn new(kind: &str, config: &GlowConfig) -> Self {
        let mut export = Self {
            tensors: BTreeMap::new(),
            model: Map::new(),
        };
        export.tell("kind", kind);
        export.tell("levels", config.levels);
        export.tell("steps", config.steps);
        export.tell("hidden", config.width);
        export.tell("channels", config.image.channels);
        export.tell("size", [config.image.height, config.image.width]);
        export
    }

    /// One more fact of the model.
    pub(super) fn tell(&mut self, name: &str, value: impl Serialize) {
        self.model.insert(name.to_owned(), json!(value));
    }

    /// The facts, as JSON.
    pub(in crate::convert_checkpoint) fn model(&self) -> String {
        json!(self.model).to_string()
    }

    /// A tensor in f32.
    pub(super) fn single(&mut self, name: String, tensor: &Tensor) -> Result<()> {
        let single = to_single(tensor).with_context(|| format!("tensor `{name}` of the peer"))?;
        let values = single.flatten_all()?.to_vec1::<f32>()?;
        let bytes = values.into_iter().flat_map(f32::to_le_bytes).collect();
        self.raw(name, Dtype::F32, tensor.dims(), bytes);
        Ok(())
    }

    /// A list of indices, which are 64 bits wide in PyTorch.
    pub(super) fn indices(&mut self, name: String, values: &[u32]) {
        let bytes = values
            .iter()
            .flat_map(|&value| i64::from(value).to_le_bytes())
            .collect();
        self.raw(name, Dtype::I64, &[values.len()], bytes);
    }

    /// That something was done, as a bool.
    pub(super) fn flag(&mut self, name: String) {
        self.raw(name, Dtype::BOOL, &[], vec![1]);
    }

    /// That something was done, as a number of 8 bits.
    pub(super) fn flag_byte(&mut self, name: String) {
        self.raw(name, Dtype::U8, &[], vec![1]);
    }

    fn raw(&mut self, name: String, dtype: Dtype, shape: &[usize], bytes: Vec<u8>) {
        let shape = shape.to_vec();
        self.tensors.insert(
            name,
            Raw {
                dtype,
                shape,
                bytes,
            },
        );
    }

    /// The bytes of a safetensors file with this metadata.
    pub(in crate::convert_checkpoint) fn serialize(
        &self,
        metadata: HashMap<String, String>,
    ) -> Result<Vec<u8>> {
        let views = self.tensors.iter().map(|(name, raw)| {
            let view = TensorView::new(raw.dtype, raw.shape.clone(), &raw.bytes)?;
            Ok((name, view))
        });
        let views = views.collect::<Result<Vec<_>>>()?;
        Ok(safetensors::serialize(views, Some(metadata))?)
    }
}
