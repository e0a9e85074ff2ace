//! A state dict for a peer, and why there may be none.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use candle_core::Tensor;
use flow_glow::{AffineOrder, Coupling, GlowConfig, PassingChannels, ScaleMap};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::convert_checkpoint::parameters::to_single;

/// Tensors by name, as bytes.
#[derive(Default)]
pub(in crate::convert_checkpoint) struct Export(BTreeMap<String, Raw>);

struct Raw {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Export {
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
        self.0.insert(
            name,
            Raw {
                dtype,
                shape,
                bytes,
            },
        );
    }

    /// The bytes of a safetensors file.
    pub(in crate::convert_checkpoint) fn serialize(&self) -> Result<Vec<u8>> {
        let views = self.0.iter().map(|(name, raw)| {
            let view = TensorView::new(raw.dtype, raw.shape.clone(), &raw.bytes)?;
            Ok((name, view))
        });
        let views = views.collect::<Result<Vec<_>>>()?;
        Ok(safetensors::serialize(views, None)?)
    }
}

/// Refuses models that a peer does not have.
pub(super) struct Refusal<'a> {
    peer: &'static str,
    config: &'a GlowConfig,
}

impl<'a> Refusal<'a> {
    pub(super) fn new(peer: &'static str, config: &'a GlowConfig) -> Self {
        Self { peer, config }
    }

    /// An error that names a setting unless `can`.
    pub(super) fn unless(&self, setting: &str, can: bool) -> Result<()> {
        if can {
            return Ok(());
        }
        bail!("{} has no models with the {setting} of this one", self.peer)
    }

    pub(super) fn unless_affine(&self, order: AffineOrder, maps: &[ScaleMap]) -> Result<()> {
        if self.config.coupling == Coupling::Additive {
            return Ok(());
        }
        self.unless("`scale_map`", maps.contains(&self.config.scale_map))?;
        self.unless(
            "`affine_order`",
            self.config.conventions.affine_order == order,
        )
    }

    /// For a peer whose steps all pass the same channels.
    pub(super) fn unless_passing(&self, choices: &[PassingChannels]) -> Result<()> {
        let conventions = &self.config.conventions;
        self.unless("`passing`", choices.contains(&conventions.passing))?;
        self.unless(
            "`alternating`",
            !conventions.alternating || self.config.steps == 1,
        )
    }
}
