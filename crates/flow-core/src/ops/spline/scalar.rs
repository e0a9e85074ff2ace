//! A spline on single numbers, with the gradients of its value and of its log-slope.

use super::{Ends, IntervalSpline};
use crate::ops::simd;
use std::cmp::Ordering;

/// Constants of the loops over numbers, in f32.
pub(super) struct Knots {
    bins: usize,
    low: f32,
    pub(super) high: f32,
    ends: Ends,
    /// Scale and minimum of widths and of heights: a share of 1 above the minimum has the scale.
    scales: [(f32, f32); 2],
    min_derivative: f32,
}

/// Shares of the interval and their softmax, reused for every number.
pub(super) struct Shares {
    widths: Vec<f32>,
    heights: Vec<f32>,
}

/// The bin of a number.
#[derive(Clone, Copy)]
pub(super) struct Bin {
    index: usize,
    left: f32,
    bottom: f32,
    width: f32,
    height: f32,
    per_width: f32,
    per_height: f32,
    /// Derivatives at both ends, as multiples of δ = height / width.
    d0: f32,
    d1: f32,
}

/// A number within its bin.
struct Place {
    theta: f32,
    /// 1 − θ.
    rest: f32,
    /// θ·(1 − θ).
    t: f32,
    rho: f32,
    /// 1/s.
    per_whole: f32,
    /// ∂y/∂x = δ · curve / s².
    curve: f32,
}

/// Above this magnitude, adding 1 to the square has no effect in f32.
const LARGE: f32 = 1e9;

/// Axis of the search for a bin.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Axis {
    X,
    Y,
}

impl Knots {
    pub(super) fn new(spline: IntervalSpline) -> Self {
        let side = spline.high - spline.low;
        let scale = |minimum: f64| {
            (
                (side * (1.0 - minimum * spline.bins as f64)) as f32,
                (side * minimum) as f32,
            )
        };
        Self {
            bins: spline.bins,
            low: spline.low as f32,
            high: spline.high as f32,
            ends: spline.ends,
            scales: [scale(spline.min_width), scale(spline.min_height)],
            min_derivative: spline.min_derivative as f32,
        }
    }

    pub(super) fn shares(&self) -> Shares {
        Shares {
            widths: vec![0.0; self.bins],
            heights: vec![0.0; self.bins],
        }
    }

    #[inline(always)]
    pub(super) fn is_inside(&self, x: f32) -> bool {
        x >= self.low && x <= self.high
    }

    /// The bin that holds `value`, by the parameters of its number.
    #[inline(always)]
    pub(super) fn bin(&self, value: f32, on: Axis, parameters: &[f32], shares: &mut Shares) -> Bin {
        let (widths, rest) = parameters.split_at(self.bins);
        let (heights, derivatives) = rest.split_at(self.bins);
        softmax(widths, &mut shares.widths);
        softmax(heights, &mut shares.heights);
        let mut index = 0;
        let (mut left, mut bottom) = (self.low, self.low);
        loop {
            let width = self.scales[0].0 * shares.widths[index] + self.scales[0].1;
            let height = self.scales[1].0 * shares.heights[index] + self.scales[1].1;
            let last = index + 1 == self.bins;
            // The last bin ends exactly with the interval.
            let (right, top) = if last {
                (self.high, self.high)
            } else {
                (left + width, bottom + height)
            };
            let end = if on == Axis::X { right } else { top };
            if last || value < end {
                let derivative = |knot| match self.parameter_of(knot) {
                    Some(place) => self.min_derivative + softplus(derivatives[place]),
                    None => 1.0,
                };
                let (width, height) = (right - left, top - bottom);
                let ends = (derivative(index), derivative(index + 1));
                return Bin::new(index, (left, bottom), (width, height), ends);
            }
            (left, bottom) = (right, top);
            index += 1;
        }
    }

    /// Writes ∂L/∂parameters of one number, from ∂L/∂bin and the `shares` of [`bin`](Self::bin).
    #[inline(always)]
    pub(super) fn differentiate(
        &self,
        bin: Bin,
        grad: &BinGradient,
        parameters: &[f32],
        shares: &Shares,
        grad_parameters: &mut [f32],
    ) {
        let (grad_widths, rest) = grad_parameters.split_at_mut(self.bins);
        let (grad_heights, grad_derivatives) = rest.split_at_mut(self.bins);
        let index = bin.index;
        softmax_gradient(
            &shares.widths,
            index,
            grad.left,
            grad.width,
            self.scales[0].0,
            grad_widths,
        );
        softmax_gradient(
            &shares.heights,
            index,
            grad.bottom,
            grad.height,
            self.scales[1].0,
            grad_heights,
        );
        grad_derivatives.fill(0.0);
        let raw = &parameters[2 * self.bins..];
        for (knot, grad) in [(index, grad.d0), (index + 1, grad.d1)] {
            if let Some(place) = self.parameter_of(knot) {
                grad_derivatives[place] = grad * sigmoid(raw[place]);
            }
        }
    }

    /// The place of a knot's derivative among the free ones; `None` if it is 1.
    #[inline(always)]
    fn parameter_of(&self, knot: usize) -> Option<usize> {
        match self.ends {
            Ends::Linear if knot == 0 || knot == self.bins => None,
            Ends::Linear => Some(knot - 1),
            Ends::Free => Some(knot),
            Ends::Circular => Some(if knot == self.bins { 0 } else { knot }),
        }
    }
}

/// Gradients with respect to the sides of a bin, its derivatives, and the number in it.
pub(super) struct BinGradient {
    pub(super) x: f32,
    left: f32,
    bottom: f32,
    width: f32,
    height: f32,
    d0: f32,
    d1: f32,
}

impl Bin {
    #[inline(always)]
    fn new(
        index: usize,
        (left, bottom): (f32, f32),
        (width, height): (f32, f32),
        (d0, d1): (f32, f32),
    ) -> Self {
        let (per_width, per_height) = (1.0 / width, 1.0 / height);
        let per_slope = width * per_height;
        Self {
            index,
            left,
            bottom,
            width,
            height,
            per_width,
            per_height,
            d0: d0 * per_slope,
            d1: d1 * per_slope,
        }
    }

    #[inline(always)]
    fn at(self, x: f32) -> Place {
        let theta = (x - self.left) * self.per_width;
        // Rounding may exceed the bin.
        let rest = (1.0 - theta).max(0.0);
        let t = theta * rest;
        let rise = theta * theta + self.d0 * t;
        let per_whole = 1.0 / (rise + (rest * rest + self.d1 * t));
        Place {
            theta,
            rest,
            t,
            rho: rise * per_whole,
            per_whole,
            curve: self.d1 * theta * theta + 2.0 * t + self.d0 * rest * rest,
        }
    }

    /// y and ln ∂y/∂x.
    #[inline(always)]
    pub(super) fn forward(self, x: f32) -> (f32, f32) {
        let at = self.at(x);
        let slope = self.height * self.per_width;
        let log_slope = (slope * (at.curve * at.per_whole) * at.per_whole).ln();
        (self.bottom + self.height * at.rho, log_slope)
    }

    #[inline(always)]
    pub(super) fn inverse(self, y: f32) -> f32 {
        let rho = (y - self.bottom) * self.per_height;
        // Rounding may exceed the bin.
        let rest = (1.0 - rho).max(0.0);
        let lean = self.d0 * rest - self.d1 * rho;
        let size = lean.abs();
        // The square of large ones may overflow, and then no other term matters.
        let root = if size > LARGE {
            size
        } else {
            (size * size + 4.0 * rho * rest).sqrt()
        };
        let (before, after) = if lean >= 0.0 {
            (2.0 * rho, size + root)
        } else {
            (size + root, 2.0 * rest)
        };
        self.left + self.width * (before / (before + after))
    }

    /// Gradients of a loss with derivatives `grad_y` in y and `grad_log` in ln ∂y/∂x.
    #[inline(always)]
    pub(super) fn backward(self, x: f32, grad_y: f32, grad_log: f32) -> BinGradient {
        let Self { d0, d1, .. } = self;
        let Place {
            theta,
            rest,
            t,
            rho,
            per_whole,
            curve,
        } = self.at(x);

        let grad_rho = grad_y * self.height;
        let grad_rise = (grad_rho * (1.0 - rho) - 2.0 * grad_log) * per_whole;
        let grad_fall = -(grad_rho * rho + 2.0 * grad_log) * per_whole;
        let grad_curve = grad_log / curve;

        let grad_t = grad_rise * d0 + grad_fall * d1 + 2.0 * grad_curve;
        let grad_theta = 2.0 * (grad_rise * theta - grad_fall * rest)
            + 2.0 * grad_curve * (d1 * theta - d0 * rest)
            + grad_t * (1.0 - 2.0 * theta);
        let grad_d0 = grad_rise * t + grad_curve * rest * rest;
        let grad_d1 = grad_fall * t + grad_curve * theta * theta;
        // Gradient of ln δ.
        let grad_slope = grad_log - grad_d0 * d0 - grad_d1 * d1;
        let grad_x = grad_theta * self.per_width;
        let per_slope = self.width * self.per_height;
        BinGradient {
            x: grad_x,
            left: -grad_x,
            bottom: grad_y,
            width: -(grad_x * theta + grad_slope * self.per_width),
            height: grad_y * rho + grad_slope * self.per_height,
            d0: grad_d0 * per_slope,
            d1: grad_d1 * per_slope,
        }
    }
}

#[inline(always)]
fn softmax(raw: &[f32], shares: &mut [f32]) {
    let largest = raw
        .iter()
        .fold(f32::NEG_INFINITY, |a, b| if *b > a { *b } else { a });
    for (share, raw) in shares.iter_mut().zip(raw) {
        *share = simd::exp(raw - largest);
    }
    let scale = 1.0 / shares.iter().sum::<f32>();
    for share in shares {
        *share *= scale;
    }
}

/// Gradients of sides scale·shareᵢ + minimum, where ∂L is `before` for those before `index` and
/// `at` for that one.
#[inline(always)]
fn softmax_gradient(
    shares: &[f32],
    index: usize,
    before: f32,
    at: f32,
    scale: f32,
    grads: &mut [f32],
) {
    let mean = before * shares[..index].iter().sum::<f32>() + at * shares[index];
    for (i, (grad, share)) in grads.iter_mut().zip(shares).enumerate() {
        let side = match i.cmp(&index) {
            Ordering::Less => before,
            Ordering::Equal => at,
            Ordering::Greater => 0.0,
        };
        *grad = scale * share * (side - mean);
    }
}

/// ln(1 + eˣ).
#[inline(always)]
fn softplus(x: f32) -> f32 {
    let e = simd::exp(-x.abs());
    if x > 0.0 { x + e.ln_1p() } else { e.ln_1p() }
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + simd::exp(-x))
}
