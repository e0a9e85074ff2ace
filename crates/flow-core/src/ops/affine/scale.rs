//! Maps from a network's output to the scale of a coupling, on tensors and on single numbers.

use super::super::elementary::{sigmoid, softplus};
use super::super::number::Number;
use super::super::simd;
use candle_core::{Result, Tensor};

/// Map from a network's raw output to the positive scale s.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
pub enum ScaleMap {
    /// s = σ(raw + 2), in (0, 1): Glow's published code.
    Sigmoid,
    /// s = σ(raw + 2) + 10⁻³, in (0.001, 1.001): nflows' default.
    SigmoidOffset,
    /// s = 1 / σ(raw + 2), above 1.
    SigmoidInverse,
    /// s = min(ln(1 + e^raw) + 10⁻³, 3): nflows' alternative.
    Softplus,
    /// s = ln(1 + e^raw) + 10⁻³: that of nflows' autoregressive flows.
    SoftplusUnbounded,
    /// s = e^raw: RealNVP's.
    Exp,
    /// s = exp(γ·tanh(raw / γ)), in (e^−γ, e^γ).
    ExpTanh {
        /// γ, the largest |ln s|.
        bound: f64,
    },
}

/// Offset of [`ScaleMap::SigmoidOffset`] and of both softplus maps.
const OFFSET: f64 = 1e-3;

/// The largest scale of [`ScaleMap::Softplus`].
const SOFTPLUS_MAX: f64 = 3.0;

impl ScaleMap {
    /// ln s, in plain candle operations.
    pub(super) fn log_scale(self, raw: &Tensor) -> Result<Tensor> {
        match self {
            Self::Sigmoid => log_sigmoid(&(raw + 2.0)?),
            Self::SigmoidOffset => (sigmoid(&(raw + 2.0)?)? + OFFSET)?.log(),
            Self::SigmoidInverse => log_sigmoid(&(raw + 2.0)?)?.neg(),
            Self::Softplus => (softplus(raw)? + OFFSET)?.minimum(SOFTPLUS_MAX)?.log(),
            Self::SoftplusUnbounded => (softplus(raw)? + OFFSET)?.log(),
            Self::Exp => Ok(raw.clone()),
            Self::ExpTanh { bound } => (raw / bound)?.tanh()? * bound,
        }
    }
}

/// ln σ(a) = −ln(1 + e^−a).
fn log_sigmoid(a: &Tensor) -> Result<Tensor> {
    softplus(&a.neg()?)?.neg()
}

/// A scale map on single numbers, and the order in which it is applied.
pub(super) trait Scale<T> {
    /// True if numbers are scaled before they are shifted.
    const FIRST: bool = false;

    /// ln s and its derivative with respect to `raw`.
    fn at(&self, raw: T) -> (T, T);
}

pub(super) struct Sigmoid;
pub(super) struct SigmoidOffset;
pub(super) struct SigmoidInverse;
pub(super) struct Softplus;
pub(super) struct SoftplusUnbounded;
pub(super) struct Exp;
pub(super) struct ExpTanh(pub(super) f64);

/// The same map, applied before the shift.
pub(super) struct First<S>(pub(super) S);

impl<T: Number> Scale<T> for Sigmoid {
    #[inline(always)]
    fn at(&self, raw: T) -> (T, T) {
        let a = raw + T::of(2.0);
        let e = simd::exp(-a.abs());
        let complement = if a < T::zero() { T::one() } else { e } / (T::one() + e);
        (
            if a < T::zero() { a } else { T::zero() } - e.ln_1p(),
            complement,
        )
    }
}

impl<T: Number> Scale<T> for SigmoidOffset {
    #[inline(always)]
    fn at(&self, raw: T) -> (T, T) {
        let a = raw + T::of(2.0);
        let e = simd::exp(-a.abs());
        let whole = T::one() + e;
        let sigmoid = if a < T::zero() { e } else { T::one() } / whole;
        let scale = sigmoid + T::of(OFFSET);
        (scale.ln(), e / (whole * whole) / scale)
    }
}

impl<T: Number> Scale<T> for SigmoidInverse {
    #[inline(always)]
    fn at(&self, raw: T) -> (T, T) {
        let (log_scale, slope) = Sigmoid.at(raw);
        (-log_scale, -slope)
    }
}

impl<T: Number> Scale<T> for Softplus {
    #[inline(always)]
    fn at(&self, raw: T) -> (T, T) {
        let (log_scale, slope) = SoftplusUnbounded.at(raw);
        let bound = T::of(SOFTPLUS_MAX).ln();
        if log_scale < bound {
            (log_scale, slope)
        } else {
            (bound, T::zero())
        }
    }
}

impl<T: Number> Scale<T> for SoftplusUnbounded {
    #[inline(always)]
    fn at(&self, raw: T) -> (T, T) {
        let e = simd::exp(-raw.abs());
        let softplus = if raw > T::zero() { raw } else { T::zero() } + e.ln_1p();
        let scale = softplus + T::of(OFFSET);
        let sigmoid = if raw < T::zero() { e } else { T::one() } / (T::one() + e);
        (scale.ln(), sigmoid / scale)
    }
}

impl<T: Number> Scale<T> for Exp {
    #[inline(always)]
    fn at(&self, raw: T) -> (T, T) {
        (raw, T::one())
    }
}

impl<T: Number> Scale<T> for ExpTanh {
    #[inline(always)]
    fn at(&self, raw: T) -> (T, T) {
        let bound = T::of(self.0);
        let t = simd::tanh(raw / bound);
        (bound * t, T::one() - t * t)
    }
}

impl<T, S: Scale<T>> Scale<T> for First<S> {
    const FIRST: bool = true;

    #[inline(always)]
    fn at(&self, raw: T) -> (T, T) {
        self.0.at(raw)
    }
}
