//! The Laplace distribution.

use super::{Distribution, Numbers};
use crate::Result;
use candle_core::{DType, Device, Shape, Tensor};
use rand::Rng;
use rand_distr::Exp1;

/// The standard Laplace distribution in every number, with exponential tails.
///
/// ```text
/// ln p(z) = Σ −|z| − ln 2
/// ```
///
/// O(1) a number; a draw is an exponential one with a random sign. Learn location and scale by an
/// [`ElementwiseAffine`](crate::ElementwiseAffine) at the end of the flow.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use flow_core::distribution::{Distribution, Laplace};
///
/// let base = Laplace::new(2, DType::F64, &Device::Cpu);
/// let log_prob = base.log_prob(&Tensor::new(&[[0.0, 1.0]], &Device::Cpu)?)?;
/// assert_eq!(log_prob.to_vec1::<f64>()?, [-1.0 - 2.0 * 2_f64.ln()]);
/// # candle_core::Result::Ok(())
/// ```
pub struct Laplace(Numbers);

impl Laplace {
    /// The distribution of samples of the given `shape`, without the batch.
    pub fn new(shape: impl Into<Shape>, dtype: DType, device: &Device) -> Self {
        Self(Numbers::new(shape, dtype, device))
    }
}

impl Distribution for Laplace {
    fn log_prob(&self, z: &Tensor) -> Result<Tensor> {
        self.0
            .sum("laplace", z, |z| z.abs()?.affine(-1.0, -2_f64.ln()))
    }

    fn sample(&self, count: usize, seed: u64) -> Result<Tensor> {
        self.0.sample(count, seed, |generator| {
            let size: f64 = generator.sample(Exp1);
            if generator.random() { size } else { -size }
        })
    }
}
