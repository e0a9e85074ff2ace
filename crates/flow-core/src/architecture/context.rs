//! The way of a context to the layers of a flow.

use super::layer::constants;
use crate::bijection::Detached;
use crate::params::ParamBuilder;
use crate::runs::Rows;
use crate::{Bijection, Conditioner, Mlp, MlpSize, Result, Whiten, shape};
use candle_core::Tensor;

/// Standardisation and embedding of contexts before layers receive them.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct ContextMap {
    /// K, the numbers of a context.
    pub size: usize,
    /// Means and ln of the standard deviations by which contexts are whitened.
    pub whiten: Option<[Vec<f64>; 2]>,
    /// A network that is trained along, and the number of its outputs, which layers receive.
    pub embedding: Option<(MlpSize, usize)>,
}

impl ContextMap {
    /// Contexts of `size` numbers, as they are.
    pub fn new(size: usize) -> Self {
        Self {
            size,
            whiten: None,
            embedding: None,
        }
    }

    #[cfg(feature = "file")]
    pub(super) fn largest(&self) -> usize {
        let width = self.embedding.map_or(0, |(network, _)| network.width);
        self.size.max(self.outputs()).max(width)
    }

    /// The number of values that layers receive.
    pub fn outputs(&self) -> usize {
        self.embedding.map_or(self.size, |(_, outputs)| outputs)
    }
}

/// A context map with its parameters.
pub(super) struct Context {
    size: usize,
    outputs: usize,
    whiten: Option<Whiten>,
    embedding: Option<Mlp>,
}

impl Context {
    pub(super) fn new(map: &ContextMap, params: &ParamBuilder) -> Result<Self> {
        let (size, outputs) = (map.size, map.outputs());
        let whiten = |[mean, log_std]: &[Vec<f64>; 2]| {
            let of = |name, numbers: &[f64]| constants(name, numbers, size, params);
            let mean = of("context: mean", mean)?;
            Result::Ok(Whiten::new(mean, of("context: log_std", log_std)?))
        };
        let network = |(network, outputs)| Mlp::new(size, outputs, network, params.pp("embedding"));
        Ok(Self {
            size,
            outputs,
            whiten: map.whiten.as_ref().map(whiten).transpose()?,
            embedding: map.embedding.map(network).transpose()?,
        })
    }
}

impl Conditioner for Context {
    fn forward(&self, context: &Tensor) -> Result<Tensor> {
        shape::vectors("context", context, self.size)?;
        let white = match &self.whiten {
            Some(whiten) => whiten.forward(context)?.0,
            None => context.clone(),
        };
        match &self.embedding {
            Some(network) => network.forward(&white),
            None => Ok(white),
        }
    }

    fn sizes(&self) -> Option<[usize; 2]> {
        Some([self.size, self.outputs])
    }

    fn frozen(&self, _: &Rows) -> Result<Box<dyn Conditioner + '_>> {
        Ok(Box::new(Detached(self)))
    }
}
