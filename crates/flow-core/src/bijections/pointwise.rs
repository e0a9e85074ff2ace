//! Fixed functions of every number.

use crate::ops::elementary::{exp_m1, log_1p, sigmoid, sign, softplus};
use crate::{Bijection, Result, shape};
use candle_core::{Tensor, bail};

/// A fixed function of every number of `[B, …]`.
///
/// ```text
/// sigmoid      y = 1/(1 + e⁻ˣ)           ln y' = −softplus(x) − softplus(−x)
/// interval     y = low + (high − low)·σ  ln y' = ln(high − low) − softplus(x) − softplus(−x)
/// softplus     y = ln(1 + eˣ)            ln y' = −softplus(−x)
/// exp          y = eˣ                    ln y' = x
/// tanh         y = tanh x                ln y' = ln(1 − y²)
/// power        y = ±|x|ᵖ                 ln y' = ln p + (p − 1)·ln|x|
/// Yeo–Johnson  y = ±((1 + |x|)ᵐ − 1)/m   ln y' = (m − 1)·ln(1 + |x|)
///              m = λ where x ≥ 0, 2 − λ where x < 0
/// ```
///
/// The logit, the logarithm and so on are its [`Inverse`](crate::Inverse). Numbers outside the
/// range become infinite or NaN. Differences from 1 are never taken of a rounded sum, so values,
/// slopes and gradients keep their digits in both tails. O(1) a number. Yeo & Johnson 2000,
/// Biometrika 87(4).
///
/// ```
/// use candle_core::{Device, Tensor};
/// use flow_core::{Bijection, Pointwise};
///
/// let interval = Pointwise::Interval { low: 2.0, high: 6.0 };
/// let (y, _) = interval.forward(&Tensor::new(&[[0.0, 1e9]], &Device::Cpu)?)?;
/// assert_eq!(y.to_vec2::<f64>()?, [[4.0, 6.0]]);
/// # candle_core::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pointwise {
    /// To (0, 1).
    Sigmoid,
    /// To an interval.
    Interval {
        /// The lower end.
        low: f64,
        /// The upper end.
        high: f64,
    },
    /// To (0, ∞), and nearly x where x is large.
    Softplus,
    /// To (0, ∞).
    Exp,
    /// To (−1, 1).
    Tanh,
    /// From the real line to itself, with the sign of x; the slope at 0 is 0 or ∞.
    Power {
        /// A positive number.
        exponent: f64,
    },
    /// From the real line to itself, with a slope of 1 at 0. It shortens the right tail if λ < 1.
    YeoJohnson {
        /// λ, between 0 and 2; 1 is the identity.
        lambda: f64,
    },
}

impl Pointwise {
    fn check(self) -> Result<()> {
        match self {
            Self::Interval { low, high } if !(low < high && (high - low).is_finite()) => {
                bail!("pointwise: got an interval from {low} to {high}, needed a positive length")
            }
            Self::Power { exponent } if !(exponent > 0.0 && exponent.is_finite()) => {
                bail!("pointwise: got an exponent of {exponent}, needed a positive number")
            }
            Self::YeoJohnson { lambda } if !(lambda > 0.0 && lambda < 2.0) => {
                bail!("pointwise: got a λ of {lambda}, needed one between 0 and 2")
            }
            _ => Ok(()),
        }
    }
}

impl Bijection for Pointwise {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        shape::batch("pointwise", x)?;
        self.check()?;
        let (y, log_slope) = match *self {
            Self::Sigmoid => (sigmoid(x)?, log_slope_of_sigmoid(x)?),
            Self::Interval { low, high } => {
                let (share, rest) = (sigmoid(x)?, sigmoid(&x.neg()?)?);
                let (up, down) = (
                    share.affine(high - low, low)?,
                    rest.affine(low - high, high)?,
                );
                let y = x.ge(0.0)?.where_cond(&down, &up)?;
                (y, (log_slope_of_sigmoid(x)? + (high - low).ln())?)
            }
            Self::Softplus => (softplus(x)?, softplus(&x.neg()?)?.neg()?),
            Self::Exp => (x.exp()?, x.clone()),
            Self::Tanh => tanh(x)?,
            Self::Power { exponent } => {
                let sign = sign(x)?;
                let size = (x * &sign)?;
                let log_slope = size.log()?.affine(exponent - 1.0, exponent.ln())?;
                ((size.powf(exponent)? * sign)?, log_slope)
            }
            Self::YeoJohnson { lambda } => {
                let (sign, power) = yeo_johnson(x, lambda)?;
                let log_size = log_1p(&(x * &sign)?)?;
                let y = ((exp_m1(&(&log_size * &power)?)? / &power)? * sign)?;
                (y, ((power - 1.0)? * log_size)?)
            }
        };
        Ok((y, log_slope.flatten_from(1)?.sum(1)?))
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        shape::batch("pointwise", y)?;
        self.check()?;
        match *self {
            Self::Sigmoid => y.log()? - y.affine(-1.0, 1.0)?.log()?,
            Self::Interval { low, high } => (y - low)?.log()? - y.affine(-1.0, high)?.log()?,
            Self::Softplus => {
                // 1 − e⁻ʸ = tanh(y/2)·(1 + e⁻ʸ), which does not cancel.
                let complement = ((y * 0.5)?.tanh()? * (y.neg()?.exp()? + 1.0)?)?;
                y + complement.log()?
            }
            Self::Exp => y.log(),
            Self::Tanh => (log_1p(y)? - log_1p(&y.neg()?)?)? * 0.5,
            Self::Power { exponent } => {
                let sign = sign(y)?;
                (y * &sign)?.powf(exponent.recip())? * sign
            }
            Self::YeoJohnson { lambda } => {
                let (sign, power) = yeo_johnson(y, lambda)?;
                let log_size = (log_1p(&((y * &sign)? * &power)?)? / power)?;
                exp_m1(&log_size)? * sign
            }
        }
    }
}

/// The signs of x, and the powers that Yeo & Johnson raise to.
fn yeo_johnson(x: &Tensor, lambda: f64) -> Result<(Tensor, Tensor)> {
    let sign = sign(x)?;
    let power = sign.affine(lambda - 1.0, 1.0)?;
    Ok((sign, power))
}

fn log_slope_of_sigmoid(x: &Tensor) -> Result<Tensor> {
    (softplus(x)? + softplus(&x.neg()?)?)?.neg()
}

/// y = tanh x and ln(1 − y²): near 0 by y itself, beyond it by e = e^−2|x|.
fn tanh(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let size = x.abs()?;
    let near = size.lt(1.0)?;
    let small = near.where_cond(x, &x.zeros_like()?)?.tanh()?;
    let log_slope = log_1p(&small.sqr()?.neg()?)?;
    let e = (&size * -2.0)?.exp()?;
    let large = ((e.affine(-1.0, 1.0)? / (&e + 1.0)?)? * x.detach().sign()?)?;
    let far = (size + log_1p(&e)?)?.affine(-2.0, 2.0 * 2_f64.ln())?;
    Ok((
        near.where_cond(&small, &large)?,
        near.where_cond(&log_slope, &far)?,
    ))
}
