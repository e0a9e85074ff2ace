//! A bijection whose context passes a network first.

use crate::bijection::Limit;
use crate::runs::Rows;
use crate::{Bijection, Conditioner, Result, shape};
use candle_core::{Tensor, bail};

/// A conditional bijection with a network before its context: an embedding, trained along.
///
/// The context c `[B, K]` of [`given`](Bijection::given) becomes `network(c)`, the context of the
/// bijection. Gradients reach the network's parameters.
///
/// ```
/// use candle_core::{DType, Device};
/// use flow_core::{Additive, Autoregressive, Bijection, Conditioned, Mlp, MlpSize};
/// use flow_core::{params::ParamStore, random};
///
/// let params = ParamStore::new(0);
/// let params = params.builder(DType::F32, &Device::Cpu);
/// let size = MlpSize { context: 4, ..MlpSize::default() };
/// let made = Autoregressive::new(3, Additive, size, params.pp("made"))?;
/// let embedding = Mlp::new(20, 4, MlpSize::default(), params.pp("embedding"))?;
/// let flow = Conditioned::new(made, embedding)?;
/// assert_eq!(flow.context(), Some(20));
/// # candle_core::Result::Ok(())
/// ```
pub struct Conditioned<B, N> {
    bijection: B,
    network: N,
    size: usize,
}

impl<B: Bijection, N: Conditioner> Conditioned<B, N> {
    /// `bijection` under the outputs of `network`.
    ///
    /// # Errors
    /// If the bijection takes no context, or one of another size than the network's outputs.
    pub fn new(bijection: B, network: N) -> Result<Self> {
        let (taken, sizes) = (bijection.context(), network.sizes());
        match (taken, sizes) {
            (Some(taken), Some([size, outputs])) if taken == outputs => Ok(Self {
                bijection,
                network,
                size,
            }),
            (None, _) => bail!("conditioned: the bijection takes no context"),
            (Some(taken), _) => bail!(
                "conditioned: got a network with {} outputs, needed the {taken} numbers of the \
                 bijection's context",
                sizes.map_or(0, |[_, outputs]| outputs)
            ),
        }
    }
}

impl<B: Bijection, N: Conditioner> Conditioned<B, N> {
    fn refuse<T>(&self) -> Result<T> {
        bail!(
            "conditioned: needs a context of {} numbers; bind one with `given`",
            self.size
        )
    }
}

impl<B: Bijection, N: Conditioner> Bijection for Conditioned<B, N> {
    /// # Errors
    /// Always: a context must be bound first.
    fn forward(&self, _: &Tensor) -> Result<(Tensor, Tensor)> {
        self.refuse()
    }

    fn inverse(&self, _: &Tensor) -> Result<Tensor> {
        self.refuse()
    }

    fn inverse_within(&self, _: &Tensor, _: Limit) -> Result<Tensor> {
        self.refuse()
    }

    fn context(&self) -> Option<usize> {
        Some(self.size)
    }

    fn given(&self, context: &Tensor) -> Result<Box<dyn Bijection + '_>> {
        shape::vectors("context", context, self.size)?;
        self.bijection.given(&self.network.forward(context)?)
    }

    fn in_training(&self, seed: u64) -> Result<Option<Box<dyn Bijection + '_>>> {
        let bijection = self.bijection.in_training(seed)?;
        let network = self.network.in_training(seed)?;
        if bijection.is_none() && network.is_none() {
            return Ok(None);
        }
        Ok(Some(Box::new(Conditioned {
            bijection: bijection.unwrap_or_else(|| Box::new(&self.bijection)),
            network: network.unwrap_or_else(|| Box::new(&self.network)),
            size: self.size,
        })))
    }

    /// Binding a context to the frozen map records no graph either.
    fn frozen(&self, rows: &Rows) -> Result<Box<dyn Bijection + '_>> {
        Ok(Box::new(Conditioned {
            bijection: self.bijection.frozen(rows)?,
            network: self.network.frozen(rows)?,
            size: self.size,
        }))
    }
}
