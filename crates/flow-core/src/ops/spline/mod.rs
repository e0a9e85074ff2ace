//! Monotonic rational-quadratic splines with linear tails, and their log-determinant.
//!
//! ```text
//! [−bound, bound] is cut into K bins on both axes; bin k has width w, height h, slope δ = h/w, and
//! derivatives δ·d₀, δ·d₁ at its ends. With θ = (x − left)/w, t = θ·(1 − θ) and ρ = (y − bottom)/h,
//!
//! ρ       = (θ² + d₀·t) / s,   s = θ² + (1 − θ)² + (d₀ + d₁)·t
//! ∂y/∂x   = δ·(d₁·θ² + 2t + d₀·(1 − θ)²) / s²
//! θ of y  = 2ρ / (2ρ + q)  where e ≥ 0,   q / (q + 2·(1 − ρ))  where e < 0,
//!           e = d₀·(1 − ρ) − d₁·ρ,   q = |e| + √(e² + 4ρ·(1 − ρ))
//! ```
//!
//! All of these are sums of positive terms: nothing but e cancels, and θ and ρ stay in [0, 1].
//! Outside the interval y = x, and the derivative at both ends is 1. Each number has 3K − 1
//! parameters. The first K give widths and the next K heights, by a softmax with a minimum. The
//! others give the inner derivatives, by a softplus with a minimum; [`Ends`] has other ends.
//! Gregory & Delbourgo 1982; Durkan, Bekasov, Murray & Papamakarios 2019, sections 3.1 and A.2
//! (arXiv:1906.04032).

pub mod composed;
mod fused;
mod interval;
mod scalar;

pub use interval::{Ends, IntervalSpline};

use super::elementwise::{Direction, apply};
use super::{channel_split, empty_output, fusible};
use candle_core::{Result, Tensor};
use fused::FusedSpline;

/// A monotonic rational-quadratic spline on [−bound, bound]; outside of it y = x.
///
/// A number has 3K − 1 parameters for K bins: widths and heights by a softmax with a minimum, and
/// derivatives at the inner knots by a softplus with one. [`ops::spline`](crate::ops::spline) has
/// the formulas. O(K) a number both ways, and fused on the CPU. Durkan, Bekasov, Murray &
/// Papamakarios 2019 (arXiv:1906.04032).
///
/// ```
/// use candle_core::{DType, Device};
/// use flow_core::{Autoregressive, MlpSize, Spline, check, params::ParamStore, random};
///
/// let params = ParamStore::new(0).builder(DType::F64, &Device::Cpu);
/// let layer = Autoregressive::new(3, Spline::default(), MlpSize::default(), params)?;
/// let x = random::normal(1, (5, 3), DType::F64, &Device::Cpu)?;
/// check::round_trip(&layer, &x, 1e-12)?;
/// # candle_core::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct Spline {
    /// K, the number of bins of the interval; at least 2.
    pub bins: usize,
    /// The interval is [−bound, bound].
    pub bound: f64,
    /// The least width of a bin, as a share of the interval.
    pub min_width: f64,
    /// The least height of a bin, as a share of the interval.
    pub min_height: f64,
    /// The least derivative at an inner knot.
    pub min_derivative: f64,
}

impl Default for Spline {
    /// 8 bins on [−3, 3], with minima of 10⁻³.
    fn default() -> Self {
        Self {
            bins: 8,
            bound: 3.0,
            min_width: 1e-3,
            min_height: 1e-3,
            min_derivative: 1e-3,
        }
    }
}

impl Spline {
    /// Parameters of each number: 3K − 1.
    pub fn parameters(self) -> usize {
        IntervalSpline::from(self).parameters()
    }
}

/// y and log_det `[B]`, of `x` `[B, C, …]` and the network's `h`, `[B, (3K − 1)·C₂, …]` for linear
/// ends; the last C₂ channels are transformed. Numbers outside the interval stay as they are.
///
/// # Errors
/// If the shapes do not fit, or the bins do not fit into their interval.
pub fn forward(
    x: &Tensor,
    h: &Tensor,
    spline: impl Into<IntervalSpline>,
) -> Result<(Tensor, Tensor)> {
    let spline = spline.into();
    channels(x, h, spline)?;
    if x.elem_count() == 0 {
        return empty_output(x);
    }
    if !fusible(x) {
        return composed::forward(x, h, spline);
    }
    apply(FusedSpline::new(spline), Direction::Forward, x, h)
}

/// The x for which `forward(x, h, spline)` gives `y`.
///
/// # Errors
/// As [`forward`].
pub fn inverse(y: &Tensor, h: &Tensor, spline: impl Into<IntervalSpline>) -> Result<Tensor> {
    let spline = spline.into();
    channels(y, h, spline)?;
    if y.elem_count() == 0 {
        return Ok(y.clone());
    }
    // Samples need no graph; gradients of a sample take the composed form.
    if !fusible(y) || y.track_op() || h.track_op() {
        return composed::inverse(y, h, spline);
    }
    let transform = FusedSpline::new(spline).without_inverse_log_det();
    let (x, _) = apply(transform, Direction::Inverse, y, h)?;
    Ok(x)
}

/// The x of [`inverse`], and ln|det ∂x/∂y| `[B]`. With a graph it is fused, too.
///
/// # Errors
/// As [`forward`].
pub fn inverse_with_log_det(
    y: &Tensor,
    h: &Tensor,
    spline: impl Into<IntervalSpline>,
) -> Result<(Tensor, Tensor)> {
    let spline = spline.into();
    channels(y, h, spline)?;
    if y.elem_count() == 0 {
        return empty_output(y);
    }
    if !fusible(y) {
        return composed::inverse_with_log_det(y, h, spline);
    }
    apply(FusedSpline::new(spline), Direction::Inverse, y, h)
}

/// Numbers of passing and of transformed channels.
///
/// # Errors
/// As [`forward`].
fn channels(x: &Tensor, h: &Tensor, spline: IntervalSpline) -> Result<[usize; 2]> {
    spline.check()?;
    channel_split("spline", x.shape(), h.shape(), spline.parameters())
}
