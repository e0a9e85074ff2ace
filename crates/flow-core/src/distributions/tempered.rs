//! A base at a temperature.

use super::Distribution;
use crate::Result;
use crate::runs::Rows;
use candle_core::{Tensor, bail};
use std::sync::Arc;

/// A distribution with scaled draws: a standard normal at temperature T is N(0, T²).
pub(crate) struct Tempered {
    base: Arc<dyn Distribution>,
    temperature: f64,
}

impl Tempered {
    /// # Errors
    /// If the temperature is negative or not finite.
    pub(crate) fn new(base: Arc<dyn Distribution>, temperature: f64) -> Result<Self> {
        if !(temperature >= 0.0 && temperature.is_finite()) {
            bail!("a temperature must be 0 or more and finite, not {temperature}");
        }
        Ok(Self { base, temperature })
    }

    /// Another base at the same temperature.
    fn with(&self, base: Arc<dyn Distribution>) -> Arc<dyn Distribution> {
        let temperature = self.temperature;
        Arc::new(Self { base, temperature })
    }
}

impl Distribution for Tempered {
    /// # Errors
    /// At temperature 0 all draws are one point.
    fn log_prob(&self, z: &Tensor) -> Result<Tensor> {
        if self.temperature == 0.0 {
            bail!("at a temperature of 0 all draws are the same, and have no density");
        }
        let dimensions = z.dims()[1..].iter().product::<usize>() as f64;
        self.base.log_prob(&(z / self.temperature)?)? - dimensions * self.temperature.ln()
    }

    fn sample(&self, count: usize, seed: u64) -> Result<Tensor> {
        self.base.sample(count, seed)? * self.temperature
    }

    fn context(&self) -> Option<usize> {
        self.base.context()
    }

    fn given(&self, context: &Tensor) -> Result<Arc<dyn Distribution>> {
        Ok(self.with(self.base.given(context)?))
    }

    fn in_training(&self, seed: u64) -> Result<Option<Arc<dyn Distribution>>> {
        Ok(self.base.in_training(seed)?.map(|base| self.with(base)))
    }

    fn frozen(&self, rows: &Rows) -> Result<Option<Arc<dyn Distribution>>> {
        Ok(self.base.frozen(rows)?.map(|base| self.with(base)))
    }
}
