//! Soft clipping of every number to (−B, B), with heavier tails than an exponential's.

use crate::ops::elementary::log_1p;
use crate::{Bijection, Result, shape};
use candle_core::{Tensor, bail};

/// A map of every number of `[B, …]` to (−B, B), nearly x where |x| is small beside B.
///
/// Its inverse is infinite outside (−B, B).
///
/// ```text
/// y       = x / (1 + |x/B|)
/// log_det = −2·Σ ln(1 + |x/B|)
/// x       = y / (1 − |y/B|)
/// ```
///
/// For |x| > B, y is computed as ±(B − B/(1 + |x/B|)), whose gradient does not cancel.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use flow_core::{Bijection, SoftClip};
///
/// let x = Tensor::new(&[[-1e9, 0.0, 1.0]], &Device::Cpu)?;
/// let (y, _) = SoftClip::new(1.0)?.forward(&x)?;
/// assert_eq!(y.to_vec2::<f64>()?[0][2], 0.5);
/// # candle_core::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SoftClip {
    bound: f64,
}

impl SoftClip {
    /// Clips to (−bound, bound).
    ///
    /// # Errors
    /// If the bound is not positive and finite.
    pub fn new(bound: f64) -> Result<Self> {
        if !(bound > 0.0 && bound.is_finite()) {
            bail!("soft clip: got a bound of {bound}, needed a positive number");
        }
        Ok(Self { bound })
    }
}

impl Bijection for SoftClip {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        shape::batch("soft clip", x)?;
        let size = (x.abs()? / self.bound)?;
        let whole = (&size + 1.0)?;
        let far = (whole.recip()?.affine(-self.bound, self.bound)? * x.detach().sign()?)?;
        let y = size.gt(1.0)?.where_cond(&far, &(x / whole)?)?;
        let log_slope = (log_1p(&size)? * -2.0)?;
        Ok((y, log_slope.flatten_from(1)?.sum(1)?))
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        shape::batch("soft clip", y)?;
        let rest = (y.abs()? / -self.bound)? + 1.0;
        y / rest?.relu()?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Gradients;
    use crate::params::ParamStore;
    use candle_core::{DType, Device, Var};

    /// y, ln y′, y′ and the derivative of ln y′, from the least numbers to the largest.
    #[test]
    fn values_slopes_and_gradients_keep_their_digits() -> Result<()> {
        let bound = 3.0;
        let places = [1e-30, 1e-8, 0.1, 1.0, 2.9, 3.1, 50.0, 1e7, 1e15]
            .into_iter()
            .flat_map(|x| [x, -x]);
        for (dtype, tolerance) in [(DType::F32, 5e-7), (DType::F64, 1e-15)] {
            for x in places.clone() {
                let x = Tensor::full(x, (1, 1), &Device::Cpu)?.to_dtype(dtype)?;
                let at = x.to_dtype(DType::F64)?.sum_all()?.to_scalar::<f64>()?;
                let x = Var::from_tensor(&x)?;
                let (y, log_det) = SoftClip::new(bound)?.forward(x.as_tensor())?;
                let log_slope = log_det.unsqueeze(1)?;
                let pulled = |output: &Tensor| {
                    let mut gradients = Gradients::new(&ParamStore::new(0));
                    gradients.pull_back(&[(output, &output.ones_like()?)], [&x])
                };
                let ([slope], [curve]) = (pulled(&y)?, pulled(&log_slope)?);
                let whole = 1.0 + at.abs() / bound;
                let exact = [
                    at / whole,
                    -2.0 * (at.abs() / bound).ln_1p(),
                    whole.powi(-2),
                    -2.0 * at.signum() / (bound * whole),
                ];
                for (found, exact) in [y, log_slope, slope, curve].iter().zip(exact) {
                    let found = found.to_dtype(DType::F64)?.sum_all()?.to_scalar::<f64>()?;
                    let error = (found / exact - 1.0).abs();
                    assert!(
                        error <= tolerance,
                        "{found} is not {exact} at {at}, {dtype:?}"
                    );
                }
            }
        }
        Ok(())
    }

    #[test]
    fn ends_are_infinite_and_bounds_positive() -> Result<()> {
        let y = Tensor::new(&[[2_f32, -2.0, 2.5, -1e30, 1.0]], &Device::Cpu)?;
        let x = SoftClip::new(2.0)?.inverse(&y)?.flatten_all()?;
        let infinite = f32::INFINITY;
        let expected = [infinite, -infinite, infinite, -infinite, 2.0];
        assert_eq!(x.to_vec1::<f32>()?, expected);
        for bound in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(SoftClip::new(bound).is_err(), "{bound}");
        }
        Ok(())
    }
}
