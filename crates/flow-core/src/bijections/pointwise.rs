//! Fixed functions of every number: from the real line to an interval or half-line.
//!
//! ```text
//! sigmoid   y = 1/(1 + e⁻ˣ)    ln y' = −softplus(x) − softplus(−x)  x = ln y − ln(1 − y)
//! softplus  y = ln(1 + eˣ)     ln y' = −softplus(−x)                x = y + ln(1 − e⁻ʸ)
//! exp       y = eˣ             ln y' = x                            x = ln y
//! tanh      y = tanh x         ln y' = ln(1 − y²)                   x = (ln(1 + y) − ln(1 − y))/2
//! ```
//!
//! Differences from 1 are never taken of a rounded sum, so values, slopes and gradients keep their
//! digits in both tails.

use crate::ops::elementary::{log_1p, sigmoid, softplus};
use crate::{Bijection, Result, shape};
use candle_core::Tensor;

/// A function of every number of `[B, …]`. The logit, the logarithm and so on are its
/// [`Inverse`](crate::Inverse). Numbers outside the range become infinite or NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pointwise {
    /// To (0, 1).
    Sigmoid,
    /// To (0, ∞), and nearly x where x is large.
    Softplus,
    /// To (0, ∞).
    Exp,
    /// To (−1, 1).
    Tanh,
}

impl Bijection for Pointwise {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        shape::batch("pointwise", x)?;
        let (y, log_slope) = match self {
            Self::Sigmoid => {
                let log_slope = (softplus(x)? + softplus(&x.neg()?)?)?.neg()?;
                (sigmoid(x)?, log_slope)
            }
            Self::Softplus => (softplus(x)?, softplus(&x.neg()?)?.neg()?),
            Self::Exp => (x.exp()?, x.clone()),
            Self::Tanh => tanh(x)?,
        };
        Ok((y, log_slope.flatten_from(1)?.sum(1)?))
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        shape::batch("pointwise", y)?;
        match self {
            Self::Sigmoid => y.log()? - y.affine(-1.0, 1.0)?.log()?,
            Self::Softplus => {
                // 1 − e⁻ʸ = tanh(y/2)·(1 + e⁻ʸ), which does not cancel.
                let complement = ((y * 0.5)?.tanh()? * (y.neg()?.exp()? + 1.0)?)?;
                y + complement.log()?
            }
            Self::Exp => y.log(),
            Self::Tanh => (log_1p(y)? - log_1p(&y.neg()?)?)? * 0.5,
        }
    }
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
