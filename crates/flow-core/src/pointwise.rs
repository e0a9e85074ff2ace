//! Fixed functions of every number: from the real line to an interval or half of the line.
//!
//! ```text
//! sigmoid   y = 1/(1 + e⁻ˣ)    ln y' = −softplus(x) − softplus(−x)    x = ln y − ln(1 − y)
//! softplus  y = ln(1 + eˣ)     ln y' = −softplus(−x)                  x = y + ln(1 − e⁻ʸ)
//! exp       y = eˣ             ln y' = x                              x = ln y
//! tanh      y = tanh x         ln y' = 2·(ln 2 − x − softplus(−2x))   x = (ln(1 + y) − ln(1 − y))/2
//! ```

use crate::{Bijection, Result};
use candle_core::Tensor;

/// A function of every number of `[B, …]`. The logit, the logarithm and so on are their
/// [`Inverse`](crate::Inverse); numbers that no x maps to become infinite or NaN.
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
        let (y, log_slope) = match self {
            Self::Sigmoid => {
                let (above, below) = (softplus(x)?, softplus(&x.neg()?)?);
                (below.neg()?.exp()?, (above + below)?.neg()?)
            }
            Self::Softplus => (softplus(x)?, softplus(&x.neg()?)?.neg()?),
            Self::Exp => (x.exp()?, x.clone()),
            Self::Tanh => {
                let log_slope = (x + softplus(&(x * -2.0)?)?)?;
                (x.tanh()?, log_slope.affine(-2.0, 2.0 * 2_f64.ln())?)
            }
        };
        Ok((y, log_slope.flatten_from(1)?.sum(1)?))
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        match self {
            Self::Sigmoid => y.log()? - y.affine(-1.0, 1.0)?.log()?,
            Self::Softplus => y + y.neg()?.exp()?.affine(-1.0, 1.0)?.log()?,
            Self::Exp => y.log(),
            Self::Tanh => ((y + 1.0)?.log()? - y.affine(-1.0, 1.0)?.log()?)? * 0.5,
        }
    }
}

/// ln(1 + eˣ) = max(x, 0) + ln(1 + e^−|x|), which does not overflow.
pub(crate) fn softplus(x: &Tensor) -> Result<Tensor> {
    x.relu()? + (x.abs()?.neg()?.exp()? + 1.0)?.log()?
}
