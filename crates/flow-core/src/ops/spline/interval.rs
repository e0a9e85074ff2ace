//! Splines on any interval, with linear, free or joined ends.

use super::Spline;
use candle_core::{Result, bail};
use std::f64::consts::PI;

/// The ends of a spline's interval. K is the number of bins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
pub enum Ends {
    /// Derivatives of 1 at both ends, which the identity outside continues; 3K − 1 parameters.
    Linear,
    /// A free derivative at each end, for numbers that never leave the interval; 3K + 1 parameters.
    Free,
    /// One point of a circle, with one free derivative; 3K parameters.
    Circular,
}

/// A monotonic rational-quadratic spline of `[low, high]` onto itself, as a
/// [`Transform`](crate::Transform).
///
/// ```text
/// y = bottom + height·(θ² + d₀·t)/(θ² + (1 − θ)² + (d₀ + d₁)·t),   θ = (x − left)/width,
///                                                                  t = θ·(1 − θ)
/// ```
///
/// [`Ends::Circular`] gives a map of angles: the two ends are one point, whose derivative is
/// shared, so the density has neither a jump nor a gap there. Angles beyond the interval are those
/// of the circle: f(x + period) = f(x) + period. [`Ends::Free`] bends up to both ends; numbers
/// outside stay as they are, so put a base on the interval behind it, such as
/// [`BoxUniform`](crate::distribution::BoxUniform). [`Ends::Linear`] on `[−bound, bound]` is
/// [`Spline`].
///
/// A number costs O(K) operations both ways. Durkan et al. 2019 (arXiv:1906.04032); on circles
/// Rezende et al. 2020, section 2.1.2 (arXiv:2002.02428).
///
/// ```
/// use candle_core::{DType, Device};
/// use flow_core::{Bijection, Elementwise, IntervalSpline, MlpSize, params::ParamStore, random};
///
/// let params = ParamStore::new(0);
/// let builder = params.builder(DType::F64, &Device::Cpu);
/// let spline = Elementwise::new(2, IntervalSpline::circle(), MlpSize::default(), builder)?;
/// let angles = (random::uniform(1, (5, 2), DType::F64, &Device::Cpu)? * 3.0)?;
/// flow_core::check::close(&spline.inverse(&spline.forward(&angles)?.0)?, &angles, 1e-12)?;
/// # candle_core::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct IntervalSpline {
    /// K, the number of bins of the interval; at least 2.
    pub bins: usize,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
    /// The ends.
    pub ends: Ends,
    /// The least width of a bin, as a share of the interval.
    pub min_width: f64,
    /// The least height of a bin, as a share of the interval.
    pub min_height: f64,
    /// The least derivative at a knot.
    pub min_derivative: f64,
}

impl IntervalSpline {
    /// 8 bins on `[low, high]` with free ends, and minima of 10⁻³.
    #[must_use]
    pub const fn on(low: f64, high: f64) -> Self {
        Self {
            bins: 8,
            low,
            high,
            ends: Ends::Free,
            min_width: 1e-3,
            min_height: 1e-3,
            min_derivative: 1e-3,
        }
    }

    /// 8 bins on the circle [−π, π), with minima of 10⁻³.
    #[must_use]
    pub const fn circle() -> Self {
        Self {
            ends: Ends::Circular,
            ..Self::on(-PI, PI)
        }
    }

    /// Parameters of each number, by the [`ends`](Self::ends).
    pub(crate) fn parameters(self) -> usize {
        let sizes = self.bins.saturating_mul(2);
        sizes.saturating_add(self.free_derivatives())
    }

    /// Number of derivatives among the parameters.
    pub(super) fn free_derivatives(self) -> usize {
        match self.ends {
            Ends::Linear => self.bins.saturating_sub(1),
            Ends::Free => self.bins.saturating_add(1),
            Ends::Circular => self.bins,
        }
    }

    pub(super) fn check(self) -> Result<()> {
        let Self {
            bins,
            low,
            high,
            min_width,
            min_height,
            min_derivative,
            ..
        } = self;
        let fits = |minimum: f64| minimum > 0.0 && minimum * (bins as f64) < 1.0;
        if bins < 2 || !fits(min_width) || !fits(min_height) {
            bail!(
                "spline: {bins} bins of at least {min_width} by {min_height} must be two or more that fit into 1"
            );
        }
        let is_slope = min_derivative > 0.0 && min_derivative < 1.0;
        if !(low < high && (high - low).is_finite() && is_slope) {
            bail!(
                "spline: the interval [{low}, {high}] must have a positive, finite length, and the \
                 minimum {min_derivative} of derivatives lie between 0 and 1"
            );
        }
        Ok(())
    }
}

impl From<Spline> for IntervalSpline {
    fn from(spline: Spline) -> Self {
        Self {
            bins: spline.bins,
            low: -spline.bound,
            high: spline.bound,
            ends: Ends::Linear,
            min_width: spline.min_width,
            min_height: spline.min_height,
            min_derivative: spline.min_derivative,
        }
    }
}
