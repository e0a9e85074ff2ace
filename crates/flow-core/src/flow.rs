//! A normalizing flow: a base distribution and a bijection from data to it.

use crate::distribution::Distribution;
use crate::{Bijection, Chain, Result};
use candle_core::Tensor;
use std::sync::Arc;

/// A distribution of data x with z = f(x), which the base distribution measures:
/// ln p(x) = ln p_base(f(x)) + ln|det ∂f/∂x|.
///
/// ```
/// use candle_core::{DType, Device};
/// use flow_core::{params::ParamStore, recipes::{self, Recipe}};
///
/// let params = ParamStore::new(0);
/// let recipe = Recipe { context: 1, ..Recipe::default() };
/// let flow = recipes::neural_spline_flow(2, &recipe, params.builder(DType::F32, &Device::Cpu))?;
/// let context = candle_core::Tensor::new(&[[0.5_f32]], &Device::Cpu)?;
/// let (x, log_prob) = flow.given(&context)?.sample_with_log_prob(10, 1)?;
/// assert_eq!((x.dims(), log_prob.dims()), (&[10, 2][..], &[10][..]));
/// # candle_core::Result::Ok(())
/// ```
pub struct Flow<B = Box<dyn Bijection>> {
    bijection: B,
    base: Arc<dyn Distribution>,
}

impl<B: Bijection> Flow<B> {
    /// `bijection` maps data to where `base` is.
    pub fn new(bijection: B, base: impl Distribution + 'static) -> Self {
        Self {
            bijection,
            base: Arc::new(base),
        }
    }

    /// The flow of data that first pass through `first`, such as a [`Whiten`](crate::Whiten) of them.
    #[allow(clippy::missing_panics_doc)] // It never does.
    #[must_use]
    pub fn after(self, first: impl Bijection + 'static) -> Flow<Chain>
    where
        B: 'static,
    {
        let parts: Vec<Box<dyn Bijection>> = vec![Box::new(first), Box::new(self.bijection)];
        Flow {
            bijection: Chain::new(parts).expect("there are two"),
            base: self.base,
        }
    }

    /// The map from data to latents.
    pub fn bijection(&self) -> &B {
        &self.bijection
    }

    /// The distribution of latents.
    pub fn base(&self) -> &dyn Distribution {
        &*self.base
    }

    /// The flow of data under a condition: `context` is `[B, K]`, a row for each sample, or `[1, K]`.
    ///
    /// # Errors
    /// If the context has another size than the flow was made for.
    pub fn given(&self, context: &Tensor) -> Result<Flow<Box<dyn Bijection + '_>>> {
        Ok(Flow {
            bijection: self.bijection.given(context)?,
            base: self.base.clone(),
        })
    }

    /// The same flow, borrowed, in the type of one that is bound to a condition.
    pub(crate) fn unconditional(&self) -> Flow<Box<dyn Bijection + '_>> {
        Flow {
            bijection: Box::new(&self.bijection),
            base: self.base.clone(),
        }
    }

    /// ln p(x) of each sample of `x` `[B, …]`, `[B]`, in nats.
    pub fn log_prob(&self, x: &Tensor) -> Result<Tensor> {
        let (z, log_det) = self.bijection.forward(x)?;
        self.base.log_prob(&z)? + log_det
    }

    /// `count` independent draws, `[count, …]`, the same for the same `seed`.
    pub fn sample(&self, count: usize, seed: u64) -> Result<Tensor> {
        self.bijection.inverse(&self.base.sample(count, seed)?)
    }

    /// Draws and ln p of each of them, `[count]`, at less than the cost of both apart. Gradients flow through both,
    /// as variational inference needs (Rezende & Mohamed 2015, arXiv:1505.05770).
    pub fn sample_with_log_prob(&self, count: usize, seed: u64) -> Result<(Tensor, Tensor)> {
        let z = self.base.sample(count, seed)?;
        let (x, log_det) = self.bijection.inverse_with_log_det(&z)?;
        Ok((x, (self.base.log_prob(&z)? - log_det)?))
    }

    /// Sets what depends on data, as ActNorm's statistics, from one batch `x`.
    pub fn initialize(&self, x: &Tensor) -> Result<()> {
        self.bijection.initialize(x).map(|_| ())
    }
}
