//! A spline on single numbers, with the gradients of its value and of its log-slope.

use super::{Ends, IntervalSpline};
use crate::ops::number::Number;
use crate::ops::simd;
use num_traits::Float;
use std::cmp::Ordering;

/// Constants of the loops over numbers.
#[derive(Clone, Copy)]
pub(super) struct Knots<T> {
    bins: usize,
    low: T,
    pub(super) high: T,
    ends: Ends,
    /// Scale and minimum of widths and of heights: a share of 1 above the minimum has the scale.
    scales: [(T, T); 2],
    min_derivative: T,
}

/// Shares of the interval and their softmax, reused for every number.
pub(super) struct Shares<T> {
    widths: Vec<T>,
    heights: Vec<T>,
}

/// The bin of a number.
#[derive(Clone, Copy)]
pub(super) struct Bin<T> {
    index: usize,
    left: T,
    bottom: T,
    width: T,
    height: T,
    per_width: T,
    per_height: T,
    /// Derivatives at both ends, as multiples of δ = height / width.
    d0: T,
    d1: T,
}

/// A number within its bin.
struct Place<T> {
    theta: T,
    /// 1 − θ.
    rest: T,
    /// θ·(1 − θ).
    t: T,
    rho: T,
    /// 1/s.
    per_whole: T,
    /// ∂y/∂x = δ · curve / s².
    curve: T,
}

/// Axis of the search for a bin.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Axis {
    X,
    Y,
}

impl<T: Number> Knots<T> {
    pub(super) fn new(spline: IntervalSpline) -> Self {
        let side = spline.high - spline.low;
        let scale = |minimum: f64| {
            (
                T::of(side * (1.0 - minimum * spline.bins as f64)),
                T::of(side * minimum),
            )
        };
        Self {
            bins: spline.bins,
            low: T::of(spline.low),
            high: T::of(spline.high),
            ends: spline.ends,
            scales: [scale(spline.min_width), scale(spline.min_height)],
            min_derivative: T::of(spline.min_derivative),
        }
    }

    pub(super) fn shares(&self) -> Shares<T> {
        Shares {
            widths: vec![T::zero(); self.bins],
            heights: vec![T::zero(); self.bins],
        }
    }

    #[inline(always)]
    pub(super) fn is_inside(&self, x: T) -> bool {
        x >= self.low && x <= self.high
    }

    /// The bin that holds `value`, by the parameters of its number.
    #[inline(always)]
    pub(super) fn bin(
        &self,
        value: T,
        on: Axis,
        parameters: &[T],
        shares: &mut Shares<T>,
    ) -> Bin<T> {
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
                    None => T::one(),
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
        bin: Bin<T>,
        grad: &BinGradient<T>,
        parameters: &[T],
        shares: &Shares<T>,
        grad_parameters: &mut [T],
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
        grad_derivatives.fill(T::zero());
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
pub(super) struct BinGradient<T> {
    pub(super) x: T,
    left: T,
    bottom: T,
    width: T,
    height: T,
    d0: T,
    d1: T,
}

impl<T: Number> Bin<T> {
    #[inline(always)]
    fn new(
        index: usize,
        (left, bottom): (T, T),
        (width, height): (T, T),
        (d0, d1): (T, T),
    ) -> Self {
        let (per_width, per_height) = (width.recip(), height.recip());
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
    fn at(self, x: T) -> Place<T> {
        let two = T::of(2.0);
        let theta = (x - self.left) * self.per_width;
        // Rounding may exceed the bin.
        let rest = Float::max(T::one() - theta, T::zero());
        let t = theta * rest;
        let rise = theta * theta + self.d0 * t;
        let per_whole = T::one() / (rise + (rest * rest + self.d1 * t));
        Place {
            theta,
            rest,
            t,
            rho: rise * per_whole,
            per_whole,
            curve: self.d1 * theta * theta + two * t + self.d0 * rest * rest,
        }
    }

    /// y and ln ∂y/∂x.
    #[inline(always)]
    pub(super) fn forward(self, x: T) -> (T, T) {
        let at = self.at(x);
        let slope = self.height * self.per_width;
        let log_slope = (slope * (at.curve * at.per_whole) * at.per_whole).ln();
        (self.bottom + self.height * at.rho, log_slope)
    }

    #[inline(always)]
    pub(super) fn inverse(self, y: T) -> T {
        let two = T::of(2.0);
        let rho = (y - self.bottom) * self.per_height;
        // Rounding may exceed the bin.
        let rest = Float::max(T::one() - rho, T::zero());
        let lean = self.d0 * rest - self.d1 * rho;
        let size = lean.abs();
        // The square of large ones may overflow, and then no other term matters.
        let root = if size > T::LARGE {
            size
        } else {
            (size * size + T::of(4.0) * rho * rest).sqrt()
        };
        let (before, after) = if lean >= T::zero() {
            (two * rho, size + root)
        } else {
            (size + root, two * rest)
        };
        self.left + self.width * (before / (before + after))
    }

    /// Gradients of a loss with derivatives `grad_y` in y and `grad_log` in ln ∂y/∂x.
    #[inline(always)]
    pub(super) fn backward(self, x: T, grad_y: T, grad_log: T) -> BinGradient<T> {
        let two = T::of(2.0);
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
        let grad_rise = (grad_rho * (T::one() - rho) - two * grad_log) * per_whole;
        let grad_fall = -(grad_rho * rho + two * grad_log) * per_whole;
        let grad_curve = grad_log / curve;

        let grad_t = grad_rise * d0 + grad_fall * d1 + two * grad_curve;
        let grad_theta = two * (grad_rise * theta - grad_fall * rest)
            + two * grad_curve * (d1 * theta - d0 * rest)
            + grad_t * (T::one() - two * theta);
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
fn softmax<T: Number>(raw: &[T], shares: &mut [T]) {
    let largest = raw
        .iter()
        .fold(T::neg_infinity(), |a, b| if *b > a { *b } else { a });
    for (share, raw) in shares.iter_mut().zip(raw) {
        *share = simd::exp(*raw - largest);
    }
    let scale = T::one() / shares.iter().copied().sum::<T>();
    for share in shares {
        *share *= scale;
    }
}

/// Gradients of sides scale·shareᵢ + minimum, where ∂L is `before` for those before `index` and
/// `at` for that one.
#[inline(always)]
fn softmax_gradient<T: Number>(
    shares: &[T],
    index: usize,
    before: T,
    at: T,
    scale: T,
    grads: &mut [T],
) {
    let mean = before * shares[..index].iter().copied().sum::<T>() + at * shares[index];
    for (i, (grad, share)) in grads.iter_mut().zip(shares).enumerate() {
        let side = match i.cmp(&index) {
            Ordering::Less => before,
            Ordering::Equal => at,
            Ordering::Greater => T::zero(),
        };
        *grad = scale * *share * (side - mean);
    }
}

/// ln(1 + eˣ).
#[inline(always)]
fn softplus<T: Number>(x: T) -> T {
    let e = simd::exp(-x.abs());
    if x > T::zero() {
        x + e.ln_1p()
    } else {
        e.ln_1p()
    }
}

#[inline(always)]
fn sigmoid<T: Number>(x: T) -> T {
    T::one() / (T::one() + simd::exp(-x))
}
