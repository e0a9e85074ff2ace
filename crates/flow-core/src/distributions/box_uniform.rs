//! Uniform distributions on boxes.

use super::Distribution;
use super::uniform::constant_inside;
use crate::{Result, random, shape, transfer};
use candle_core::{DType, Device, Tensor, bail};

/// Uniform on a box of `[B, D]`, with bounds of its own for every number.
///
/// ```text
/// ln p(z) = −Σ ln(high − low) inside, bounds included, and −∞ elsewhere
/// ```
///
/// On [−π, π] it is the uniform distribution of an angle, for maps that keep angles there. O(1) a
/// number. The prior of sbi with the same name.
///
/// ```
/// use candle_core::{DType, Device};
/// use flow_core::distribution::{BoxUniform, Distribution};
///
/// let base = BoxUniform::new(&[0.0, -1.0], &[2.0, 1.0], DType::F64, &Device::Cpu)?;
/// let log_prob = base.log_prob(&base.sample(1, 0)?)?;
/// assert_eq!(log_prob.to_vec1::<f64>()?, [-4_f64.ln()]);
/// # candle_core::Result::Ok(())
/// ```
pub struct BoxUniform {
    /// `[1, D]`.
    low: Tensor,
    high: Tensor,
    log_density: f64,
}

impl BoxUniform {
    /// The box between the lower and the upper bounds of every number.
    ///
    /// # Errors
    /// If their numbers differ or are 0, or a bound is not below the other after rounding to the
    /// type.
    pub fn new(low: &[f64], high: &[f64], dtype: DType, device: &Device) -> Result<Self> {
        let features = low.len();
        if features == 0 || features != high.len() {
            bail!(
                "box: got {features} lower and {} upper bounds, needed one of each for every number",
                high.len()
            );
        }
        let row = |ends: &[f64]| transfer::upload(ends.to_vec(), (1, features), dtype, device);
        let (lower, upper) = (row(low)?, row(high)?);
        let lengths = transfer::numbers(&(&upper - &lower)?)?;
        if let Some(at) = lengths
            .iter()
            .position(|side| !(*side > 0.0 && side.is_finite()))
        {
            bail!("box: {} is not below {} in {dtype:?}", low[at], high[at]);
        }
        let log_sides = low.iter().zip(high).map(|(low, high)| (high - low).ln());
        Ok(Self {
            low: lower,
            high: upper,
            log_density: -log_sides.sum::<f64>(),
        })
    }
}

impl Distribution for BoxUniform {
    fn log_prob(&self, z: &Tensor) -> Result<Tensor> {
        shape::vectors("box", z, self.low.dim(1)?)?;
        let outside = (z.broadcast_lt(&self.low)? + z.broadcast_gt(&self.high)?)?;
        let outside = (outside + z.ne(z)?)?.to_dtype(z.dtype())?.sum(1)?;
        constant_inside(&outside, self.log_density)
    }

    fn sample(&self, count: usize, seed: u64) -> Result<Tensor> {
        let (features, dtype) = (self.low.dim(1)?, self.low.dtype());
        random::uniform(seed, (count, features), dtype, self.low.device())?
            .broadcast_mul(&(&self.high - &self.low)?)?
            .broadcast_add(&self.low)?
            .broadcast_minimum(&self.high)
    }
}
