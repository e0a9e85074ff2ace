//! A Gaussian whose mean and standard deviation the context gives.

use super::Distribution;
use crate::params::ParamBuilder;
use crate::runs::{Rows, RunLength, in_runs};
use crate::{
    Bijection, Conditioner, Mlp, MlpSize, Result, Whiten, random, shape, standard_normal_log_prob,
};
use candle_core::{Tensor, bail};
use std::sync::Arc;

/// Contexts that pass the network at once.
const RUN: RunLength = RunLength {
    host: 256,
    even: false,
    accelerator: 1 << 14,
};

/// N(mean, exp(log_std)²) in every number, independently, with both from the context by a network.
///
/// ```text
/// mean, log_std = network(context)
/// ln p(z)       = Σ ln N((z − mean)·exp(−log_std); 0, 1) − log_std
/// ```
///
/// A base under a condition: [`Flow::given`](crate::Flow::given) binds it with the flow's maps. It
/// costs one pass of the network a sample, or one in all for a context of one row. As a last layer
/// instead of a base, an [`Elementwise`](crate::Elementwise) map does the same.
///
/// ```
/// use candle_core::{DType, Device};
/// use flow_core::distribution::{ConditionalGaussian, Distribution};
/// use flow_core::{MlpSize, params::ParamStore, random};
///
/// let (params, size) = (ParamStore::new(0), MlpSize { context: 3, ..MlpSize::default() });
/// let base = ConditionalGaussian::new(2, size, params.builder(DType::F32, &Device::Cpu))?;
/// let contexts = random::normal(1, (5, 3), DType::F32, &Device::Cpu)?;
/// assert_eq!(base.given(&contexts)?.sample(5, 2)?.dims(), [5, 2]);
/// # candle_core::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct ConditionalGaussian {
    features: usize,
    /// Size of the context.
    inputs: usize,
    network: Arc<Mlp>,
}

impl ConditionalGaussian {
    /// The distribution of vectors of `features` numbers. `size.context` is the size of the
    /// context; a fresh one is nearly the standard normal. Parameters as in [`Mlp::new`].
    ///
    /// # Errors
    /// If `size.context` is 0.
    pub fn new(features: usize, size: MlpSize, params: ParamBuilder) -> Result<Self> {
        if size.context == 0 {
            bail!("conditional gaussian: needs a context of at least one number");
        }
        let own = MlpSize { context: 0, ..size };
        Ok(Self {
            features,
            inputs: size.context,
            network: Arc::new(Mlp::new(size.context, 2 * features, own, params)?),
        })
    }

    /// The same distribution with dropout drawn from `seed`; `None` if it has none.
    fn drawn(&self, seed: u64) -> Option<Self> {
        let network = self.network.drawn(seed);
        network.map(|network| Self {
            network: Arc::new(network),
            ..*self
        })
    }

    fn unbound<T>(&self) -> Result<T> {
        bail!(
            "conditional gaussian: needs a context of {} numbers; bind one with `given`",
            self.inputs
        )
    }
}

impl Distribution for ConditionalGaussian {
    fn log_prob(&self, _: &Tensor) -> Result<Tensor> {
        self.unbound()
    }

    fn sample(&self, _: usize, _: u64) -> Result<Tensor> {
        self.unbound()
    }

    fn context(&self) -> Option<usize> {
        Some(self.inputs)
    }

    fn given(&self, context: &Tensor) -> Result<Arc<dyn Distribution>> {
        shape::vectors("context", context, self.inputs)?;
        Ok(Arc::new(Given {
            distribution: self.clone(),
            context: context.clone(),
            graph: true,
        }))
    }

    fn in_training(&self, seed: u64) -> Result<Option<Arc<dyn Distribution>>> {
        Ok(self.drawn(seed).map(|drawn| Arc::new(drawn) as _))
    }
}

/// The distribution of a context, `[B, K]` or `[1, K]`.
struct Given {
    distribution: ConditionalGaussian,
    context: Tensor,
    /// False where nothing records a graph.
    graph: bool,
}

impl Given {
    /// The whitening of `count` samples.
    fn whiten(&self, count: usize) -> Result<Whiten> {
        let context = Rows::all(count).of_context(&self.context)?;
        let runs = in_runs(context.device(), context.dim(0)?, RUN, |rows| {
            let h = self.distribution.network.forward(&rows.of(&context)?)?;
            Result::Ok(if self.graph { h } else { h.detach() })
        })?;
        let h = Tensor::cat(&runs, 0)?;
        let features = self.distribution.features;
        let of = |start| h.narrow(1, start, features);
        Ok(Whiten::new(of(0)?, of(features)?))
    }
}

impl Distribution for Given {
    fn log_prob(&self, z: &Tensor) -> Result<Tensor> {
        let features = self.distribution.features;
        let batch = shape::vectors("conditional gaussian", z, features)?;
        let (white, log_det) = self.whiten(batch)?.forward(z)?;
        standard_normal_log_prob(&white)? + log_det
    }

    /// Differentiable in the context and the network.
    fn sample(&self, count: usize, seed: u64) -> Result<Tensor> {
        let (dtype, device) = (self.context.dtype(), self.context.device());
        let shape = (count, self.distribution.features);
        let noise = random::normal(seed, shape, dtype, device)?;
        self.whiten(count)?.inverse(&noise)
    }

    fn in_training(&self, seed: u64) -> Result<Option<Arc<dyn Distribution>>> {
        let with = |distribution| Given {
            distribution,
            context: self.context.clone(),
            graph: self.graph,
        };
        let drawn = self.distribution.drawn(seed);
        Ok(drawn.map(|drawn| Arc::new(with(drawn)) as _))
    }

    fn frozen(&self, rows: &Rows) -> Result<Option<Arc<dyn Distribution>>> {
        Ok(Some(Arc::new(Given {
            distribution: self.distribution.clone(),
            context: rows.of_context(&self.context)?.detach(),
            graph: false,
        })))
    }
}
