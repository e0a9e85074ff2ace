//! Files of safetensors, whose tensors lie in no containers.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use candle_core::{Device, Tensor};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::Tensors;
use super::pickle::{Id, Kind};

/// The metadata key of this project's own checkpoints.
const OWN: &str = "flow";

/// The tensors of a file, in the order of their names.
pub(super) struct Flat<'a>(Vec<TensorView<'a>>);

/// The names of the tensors of a file.
///
/// # Errors
/// If it is not such a file, or one of this project.
pub(super) fn names(bytes: &[u8]) -> Result<Vec<String>> {
    let (_, metadata) = SafeTensors::read_metadata(bytes)
        .context("it is neither a file of PyTorch nor one of safetensors")?;
    if metadata
        .metadata()
        .as_ref()
        .is_some_and(|texts| texts.contains_key(OWN))
    {
        bail!("it is a checkpoint of this project already; `--to` converts it for another");
    }
    let mut names: Vec<_> = metadata.tensors().into_keys().collect();
    names.sort();
    Ok(names)
}

impl<'a> Flat<'a> {
    pub(super) fn parse(bytes: &'a [u8], names: &[String]) -> Result<Self> {
        let file = SafeTensors::deserialize(bytes)?;
        let views = names.iter().map(|name| Ok(file.tensor(name)?));
        Ok(Self(views.collect::<Result<_>>()?))
    }

    /// Tells whether a tensor is one whole number or flag.
    pub(super) fn is_counter(&self, id: Id) -> bool {
        let view = &self.0[id];
        view.shape().iter().all(|&size| size == 1) && kind(view.dtype()).is_some_and(Kind::is_whole)
    }

    pub(super) fn load(&self, tensors: &BTreeMap<String, Id>) -> Result<Tensors> {
        let tensor = |(name, id): (&String, &Id)| {
            let view = &self.0[*id];
            let Some(kind) = kind(view.dtype()) else {
                bail!(
                    "tensor `{name}` is of type {:?}, which no peer writes",
                    view.dtype()
                );
            };
            let bytes = view.data().chunks_exact(kind.bytes());
            let numbers = bytes.map(|bytes| kind.decode(bytes));
            let tensor = Tensor::from_iter(numbers, &Device::Cpu)?;
            Ok((name.clone(), tensor.reshape(view.shape())?))
        };
        tensors.iter().map(tensor).collect()
    }
}

fn kind(dtype: Dtype) -> Option<Kind> {
    Some(match dtype {
        Dtype::F64 => Kind::F64,
        Dtype::F32 => Kind::F32,
        Dtype::F16 => Kind::F16,
        Dtype::BF16 => Kind::Bf16,
        Dtype::I64 => Kind::I64,
        Dtype::I32 => Kind::I32,
        Dtype::I16 => Kind::I16,
        Dtype::I8 => Kind::I8,
        Dtype::U8 => Kind::U8,
        Dtype::BOOL => Kind::Bool,
        _ => return None,
    })
}
