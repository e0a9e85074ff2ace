//! Functions of every number that keep their digits in both tails, in plain candle operations.

use crate::Result;
use candle_core::{DType, Tensor};

/// ln(1 + eˣ) = max(x, 0) + ln(1 + e^−|x|), which does not overflow.
pub(crate) fn softplus(x: &Tensor) -> Result<Tensor> {
    x.relu()? + log_1p(&x.abs()?.neg()?.exp()?)?
}

/// 1/(1 + e⁻ˣ), by e^−|x|.
pub(crate) fn sigmoid(x: &Tensor) -> Result<Tensor> {
    let e = x.abs()?.neg()?.exp()?;
    x.ge(0.0)?.where_cond(&e.ones_like()?, &e)? / (e + 1.0)?
}

/// ln(1 + u) for u ≥ −1, corrected for the rounding of 1 + u.
pub(crate) fn log_1p(u: &Tensor) -> Result<Tensor> {
    let sum = (u + 1.0)?;
    let lost = (u - (&sum - 1.0)?)?.detach();
    // At −1 the rounding error is zero.
    let lost = (lost / sum.detach().maximum(1e-30)?)?;
    sum.log()? + lost
}

/// eˣ that saturates at the range of its type, like the fused one: 0·eˣ is then 0 for every x,
/// where 0·∞ would be NaN. With a graph it is plain eˣ.
pub(crate) fn saturating_exp(x: &Tensor) -> Result<Tensor> {
    let exp = x.exp()?;
    if exp.track_op() {
        return Ok(exp);
    }
    match x.dtype() {
        DType::F64 => exp.minimum(f64::MAX),
        _ => exp.minimum(f32::MAX),
    }
}

/// eˣ − 1 = tanh(x/2)·(eˣ + 1), which does not cancel.
pub(crate) fn exp_m1(x: &Tensor) -> Result<Tensor> {
    (x * 0.5)?.tanh()? * (x.exp()? + 1.0)?
}

/// 1 where x ≥ 0, and −1 elsewhere: |x| = x·sign has a slope at 0, too.
pub(crate) fn sign(x: &Tensor) -> Result<Tensor> {
    x.ge(0.0)?.to_dtype(x.dtype())?.affine(2.0, -1.0)
}

/// The whole periods to subtract from x to reach the interval from `low` to `high`, without a
/// graph.
pub(crate) fn turns(x: &Tensor, low: f64, high: f64) -> Result<Tensor> {
    let period = high - low;
    ((x.detach() - low)? / period)?.floor()? * period
}
