//! From a model of this project to a state dict of another program.

use std::{
    collections::{BTreeMap, HashMap},
    io::Write,
    path::Path,
};

use anyhow::{Context, Result, ensure};
use atomic_write_file::AtomicWriteFile;
use candle_core::Tensor;
use flow_glow::{Checkpoint, Dequantization, Fit, GlowConfig, Peer, Preprocessing};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::parameters::{Model, Parameters, to_single};
use crate::{Error, dialects};

/// A state dict for a program, and the facts that its model is built with.
pub struct Export {
    tensors: BTreeMap<String, Raw>,
    model: Map<String, Value>,
    preprocessing: Value,
    notes: Vec<String>,
}

/// A tensor as bytes.
struct Raw {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// Writes a model for a program.
///
/// # Errors
/// If the program has no such models: all settings in its way are named, each with the option of
/// `flow train` that avoids it. If a number is too large for the program's form.
pub fn export(checkpoint: &Checkpoint, peer: Peer) -> crate::Result<Export> {
    let config = checkpoint.model.config();
    let build = || {
        ensure!(
            config.condition.is_none(),
            "the model is conditional on numbers, and no other program's Glow is"
        );
        let parameters = Parameters::of(&checkpoint.weights)?;
        let config = config.clone();
        dialects::write(peer, &Model { config, parameters })
    };
    let export = build().map_err(Error)?;
    let notes = notes(config, peer);
    Ok(Export { notes, ..export })
}

impl Export {
    /// Lines for users of the file: the model's form of a pixel, and settings that the program's
    /// plain Glow lacks.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Writes a safetensors file of which
    /// `model.load_state_dict(safetensors.torch.load_file(path))` works in the program. The file
    /// appears whole or not at all.
    ///
    /// Its metadata have `model`, the arguments of `build` in `assets/reference/peers.py`, and
    /// `preprocessing`, which is not in a state dict: both as JSON.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: &Path) -> crate::Result<()> {
        let write = || {
            ensure!(!path.is_dir(), "it is a folder");
            let mut file = AtomicWriteFile::open(path)?;
            file.write_all(&self.serialize()?)?;
            Ok(file.commit()?)
        };
        let cannot = || format!("cannot write `{}`", path.display());
        write().with_context(cannot).map_err(Error)
    }

    /// A state dict without tensors, for a model of this size.
    pub(crate) fn new(peer: Peer, config: &GlowConfig) -> Self {
        let mut export = Self {
            tensors: BTreeMap::new(),
            model: Map::new(),
            preprocessing: json!({
                "bits": config.bits,
                "preprocessing": config.preprocessing,
            }),
            notes: Vec::new(),
        };
        export.tell("kind", peer.as_str());
        export.tell("levels", config.levels);
        match config.steps_of(true) {
            last if last == config.steps => export.tell("steps", last),
            last => export.tell("steps", [config.steps, last]),
        }
        export.tell("hidden", config.width);
        export.tell("channels", config.image.channels);
        export.tell("size", [config.image.height, config.image.width]);
        export
    }

    /// One more fact of the model.
    pub(crate) fn tell(&mut self, name: &str, value: impl Serialize) {
        self.model.insert(name.to_owned(), json!(value));
    }

    /// A tensor in f32.
    pub(crate) fn single(&mut self, name: String, tensor: &Tensor) -> Result<()> {
        let single = to_single(tensor).with_context(|| format!("tensor `{name}` of the peer"))?;
        let values = single.flatten_all()?.to_vec1::<f32>()?;
        let bytes = values.into_iter().flat_map(f32::to_le_bytes).collect();
        self.raw(name, Dtype::F32, tensor.dims(), bytes);
        Ok(())
    }

    /// A list of indices, which are 64 bits wide in PyTorch.
    pub(crate) fn indices(&mut self, name: String, values: &[u32]) {
        let bytes = values
            .iter()
            .flat_map(|&value| i64::from(value).to_le_bytes())
            .collect();
        self.raw(name, Dtype::I64, &[values.len()], bytes);
    }

    /// That something was done, as a bool.
    pub(crate) fn flag(&mut self, name: String) {
        self.raw(name, Dtype::BOOL, &[], vec![1]);
    }

    /// That something was done, as a number of 8 bits.
    pub(crate) fn flag_byte(&mut self, name: String) {
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

    /// The bytes of a safetensors file.
    fn serialize(&self) -> Result<Vec<u8>> {
        let views = self.tensors.iter().map(|(name, raw)| {
            let view = TensorView::new(raw.dtype, raw.shape.clone(), &raw.bytes)?;
            Ok((name, view))
        });
        let views = views.collect::<Result<Vec<_>>>()?;
        let metadata = HashMap::from([
            ("format".to_owned(), "pt".to_owned()),
            ("model".to_owned(), json!(self.model).to_string()),
            ("preprocessing".to_owned(), self.preprocessing.to_string()),
        ]);
        Ok(safetensors::serialize(views, Some(metadata))?)
    }
}

/// The lines of [`Export::notes`].
fn notes(config: &GlowConfig, peer: Peer) -> Vec<String> {
    let pixels = match &config.preprocessing {
        Preprocessing::Unit => "p itself".to_owned(),
        Preprocessing::Centered => "p - 1/2".to_owned(),
        Preprocessing::Logit { alpha } => format!("logit({alpha} + {} p)", 1.0 - 2.0 * alpha),
        Preprocessing::Equalized { .. } => {
            "its logit after equalization, of which the metadata have the shares".to_owned()
        }
    };
    let mut notes = vec![format!(
        "the model sees of a pixel p in [0, 1), of {} bits: {pixels}",
        config.bits
    )];
    if config.dequantization != Dequantization::Uniform {
        let left =
            "the learned noise of its pixels is left out: it is not part of the density of x";
        notes.push(left.to_owned());
    }
    let parts = peer.differences(config).into_iter();
    let parts: Vec<_> = parts
        .filter(|(_, fit)| *fit == Fit::Part)
        .map(|(setting, _)| format!("`{}`", setting.name()))
        .collect();
    if !parts.is_empty() {
        notes.push(format!(
            "parts of {} beside its own Glow make up for {}: see docs/conversion.md",
            peer.as_str(),
            parts.join(", ")
        ));
    }
    notes
}
