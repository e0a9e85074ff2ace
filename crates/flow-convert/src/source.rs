//! The tensors of a state dict, taken one by one. Errors name missing, misshapen and unused
//! tensors.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};
use candle_core::Tensor;
use flow_glow::finite;

use crate::state_dict::Tensors;

/// The rest of a state dict.
pub(crate) struct Source {
    tensors: Tensors,
}

impl Source {
    /// # Errors
    /// If a number is not finite; the tensor is named.
    pub(crate) fn new(tensors: Tensors) -> Result<Self> {
        for (name, tensor) in &tensors {
            finite::check(name, tensor)?;
        }
        Ok(Self { tensors })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The shape of a tensor, of `N` dimensions.
    pub(crate) fn shape<const N: usize>(&self, name: &str) -> Result<[usize; N]> {
        let tensor = self.tensors.get(name);
        let tensor = tensor.with_context(|| format!("tensor `{name}` is missing"))?;
        let dims = tensor.dims();
        dims.try_into().map_err(|_| {
            anyhow::anyhow!("tensor `{name}` has shape {dims:?}, but should have {N} dimensions")
        })
    }

    /// Takes a tensor, which must have this shape.
    pub(crate) fn take(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let tensor = self.tensors.remove(name);
        let tensor = tensor.with_context(|| format!("tensor `{name}` is missing"))?;
        ensure!(
            tensor.dims() == shape,
            "tensor `{name}` has shape {:?}, but should have {shape:?}",
            tensor.dims()
        );
        Ok(tensor)
    }

    /// Takes a tensor of whole numbers.
    pub(crate) fn take_indices(&mut self, name: &str, length: usize) -> Result<Vec<u32>> {
        let values = self.take(name, &[length])?.to_vec1::<f64>()?;
        let index = |value: f64| {
            let index = value as u32;
            ensure!(
                [value].contains(&f64::from(index)),
                "tensor `{name}` holds {value}, which is not an index"
            );
            Ok(index)
        };
        values.into_iter().map(index).collect()
    }

    /// Takes a number that only training or initialisation needs, if it is present.
    pub(crate) fn skip(&mut self, name: &str) {
        self.tensors.remove(name);
    }

    /// Takes the flag of an ActNorm that initialises itself from the first images, if it is
    /// present.
    ///
    /// # Errors
    /// If the ActNorm is uninitialised, so that the file lacks its values.
    pub(crate) fn skip_done(&mut self, name: &str) -> Result<()> {
        let flag = self.tensors.remove(name);
        let flag = flag.map(|flag| flag.flatten_all()?.to_vec1::<f64>());
        let waits = flag
            .transpose()?
            .is_some_and(|values| values.contains(&0.0));
        ensure!(!waits, "`{name}` is 0: the model has never seen an image");
        Ok(())
    }

    /// The numbers that stand between `prefix` and a dot, of which there are as many as layers.
    pub(crate) fn indices(&self, prefix: &str) -> BTreeSet<usize> {
        let rest = self.names().filter_map(|name| name.strip_prefix(prefix));
        rest.filter_map(|rest| rest.split_once('.')?.0.parse().ok())
            .collect()
    }

    /// An error if something is left.
    pub(crate) fn finish(self) -> Result<()> {
        match self.tensors.into_iter().next() {
            None => Ok(()),
            Some((name, tensor)) => {
                bail!(
                    "tensor `{name}` of shape {:?} does not belong to such a model",
                    tensor.dims()
                )
            }
        }
    }
}
