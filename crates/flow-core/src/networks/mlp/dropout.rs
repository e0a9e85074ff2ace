//! Dropout of hidden units (Srivastava et al. 2014, JMLR 15).

use crate::{Result, random};
use candle_core::{Tensor, bail};
use std::sync::Arc;

/// The dropout of a network: idle, or with a seed for one step of a training.
#[derive(Clone)]
pub(super) struct Dropout {
    rate: f64,
    /// Name of the network's parameters, so that networks drop different units.
    name: Arc<str>,
    seed: Option<u64>,
}

impl Dropout {
    /// # Errors
    /// If the rate is not in 0..1.
    pub(super) fn new(rate: f64, name: &str) -> Result<Self> {
        if !(0.0..1.0).contains(&rate) {
            bail!("mlp: dropout must lie in 0..1, not {rate}");
        }
        Ok(Self {
            rate,
            name: name.into(),
            seed: None,
        })
    }

    /// The same dropout, drawn from `seed`; `None` if the rate is 0.
    pub(super) fn drawn(&self, seed: u64) -> Option<Self> {
        (self.rate > 0.0).then(|| Self {
            seed: Some(seed),
            ..self.clone()
        })
    }

    /// True if units are dropped.
    pub(super) fn is_drawn(&self) -> bool {
        self.seed.is_some()
    }

    /// Factors of the units `a` `[B, width]` of hidden layer `index`, 0 or 1/(1 − rate); `None` if
    /// none are dropped.
    pub(super) fn mask(&self, a: &Tensor, index: usize) -> Result<Option<Tensor>> {
        let Some(seed) = self.seed else {
            return Ok(None);
        };
        let seed = random::derive(seed, &format!("{} {index}", self.name));
        let draws = random::uniform(seed, a.shape(), a.dtype(), a.device())?;
        let kept = draws.ge(self.rate)?.to_dtype(a.dtype())?;
        Ok(Some((kept * (1.0 - self.rate).recip())?))
    }
}

#[cfg(feature = "serde")]
#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature.
pub(super) fn is_zero(rate: &f64) -> bool {
    *rate == 0.0
}
