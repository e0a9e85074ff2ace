//! The logistic distribution.

use super::{Distribution, Numbers};
use crate::Result;
use crate::ops::elementary::log_1p;
use candle_core::{DType, Device, Shape, Tensor};
use rand::Rng;
use rand::distr::Open01;

/// The standard logistic distribution in every number: the logit of a uniform one.
///
/// ```text
/// ln p(z) = Σ −|z| − 2·ln(1 + e^−|z|)
/// ```
///
/// NICE's base (Dinh, Krueger & Bengio 2015, arXiv:1410.8516). O(1) a number; draws by the inverse
/// distribution function.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use flow_core::distribution::{Distribution, Logistic};
///
/// let base = Logistic::new(1, DType::F64, &Device::Cpu);
/// let log_prob = base.log_prob(&Tensor::new(&[[0.0]], &Device::Cpu)?)?;
/// assert_eq!(log_prob.to_vec1::<f64>()?, [-2.0 * 2_f64.ln()]);
/// # candle_core::Result::Ok(())
/// ```
pub struct Logistic(Numbers);

impl Logistic {
    /// The distribution of samples of the given `shape`, without the batch.
    pub fn new(shape: impl Into<Shape>, dtype: DType, device: &Device) -> Self {
        Self(Numbers::new(shape, dtype, device))
    }
}

impl Distribution for Logistic {
    fn log_prob(&self, z: &Tensor) -> Result<Tensor> {
        self.0.sum("logistic", z, |z| {
            let size = z.abs()?;
            (log_1p(&size.neg()?.exp()?)? * -2.0)? - size
        })
    }

    fn sample(&self, count: usize, seed: u64) -> Result<Tensor> {
        self.0.sample(count, seed, |generator| {
            let share: f64 = generator.sample(Open01);
            share.ln() - (-share).ln_1p()
        })
    }
}
