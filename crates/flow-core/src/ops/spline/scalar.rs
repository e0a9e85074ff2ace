//! A spline on single numbers, with the gradients of its value and of its log-slope.

use super::Spline;
use crate::ops::simd;
use std::cmp::Ordering;

/// What loops over numbers need, in f32.
pub(super) struct Knots {
    bins: usize,
    bound: f32,
    /// What a share of 1 has above the minimum, and the minimum, of widths and of heights.
    scales: [(f32, f32); 2],
    min_derivative: f32,
}

/// Shares of the interval, by a softmax, and where they come from: room that is used for every number.
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
    d0: f32,
    d1: f32,
}

/// On which axis a bin is looked for.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Axis {
    X,
    Y,
}

impl Knots {
    pub(super) fn new(spline: Spline) -> Self {
        let side = 2.0 * spline.bound;
        let scale = |minimum: f64| {
            (
                (side * (1.0 - minimum * spline.bins as f64)) as f32,
                (side * minimum) as f32,
            )
        };
        Self {
            bins: spline.bins,
            bound: spline.bound as f32,
            scales: [scale(spline.min_width), scale(spline.min_height)],
            min_derivative: spline.min_derivative as f32,
        }
    }

    pub(super) fn room(&self) -> Shares {
        Shares {
            widths: vec![0.0; self.bins],
            heights: vec![0.0; self.bins],
        }
    }

    #[inline(always)]
    pub(super) fn is_inside(&self, x: f32) -> bool {
        x >= -self.bound && x <= self.bound
    }

    /// The bin that holds `value`, by the parameters of its number.
    #[inline(always)]
    pub(super) fn bin(&self, value: f32, on: Axis, parameters: &[f32], shares: &mut Shares) -> Bin {
        let (widths, rest) = parameters.split_at(self.bins);
        let (heights, derivatives) = rest.split_at(self.bins);
        softmax(widths, &mut shares.widths);
        softmax(heights, &mut shares.heights);
        let mut index = 0;
        let (mut left, mut bottom) = (-self.bound, -self.bound);
        loop {
            let width = self.scales[0].0 * shares.widths[index] + self.scales[0].1;
            let height = self.scales[1].0 * shares.heights[index] + self.scales[1].1;
            let last = index + 1 == self.bins;
            // The last bin ends where the interval does, whatever rounding says.
            let (right, top) = if last {
                (self.bound, self.bound)
            } else {
                (left + width, bottom + height)
            };
            let end = if on == Axis::X { right } else { top };
            if last || value < end {
                let derivative = |raw: f32| self.min_derivative + softplus(raw);
                return Bin {
                    index,
                    left,
                    bottom,
                    width: right - left,
                    height: top - bottom,
                    d0: if index == 0 {
                        1.0
                    } else {
                        derivative(derivatives[index - 1])
                    },
                    d1: if last {
                        1.0
                    } else {
                        derivative(derivatives[index])
                    },
                };
            }
            (left, bottom) = (right, top);
            index += 1;
        }
    }

    /// Writes ∂L/∂parameters of one number, given ∂L/∂bin and what [`bin`](Self::bin) left in `shares`.
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
        if index > 0 {
            grad_derivatives[index - 1] = grad.d0 * sigmoid(raw[index - 1]);
        }
        if index + 1 < self.bins {
            grad_derivatives[index] = grad.d1 * sigmoid(raw[index]);
        }
    }
}

/// ∂L of what a bin is made of, and of the number in it.
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
    /// y and ln ∂y/∂x.
    #[inline(always)]
    pub(super) fn forward(self, x: f32) -> (f32, f32) {
        let Self { d0, d1, .. } = self;
        let slope = self.height / self.width;
        let theta = (x - self.left) / self.width;
        let rest = 1.0 - theta;
        let t = theta * rest;
        let denominator = slope + (d0 + d1 - 2.0 * slope) * t;
        let rise = self.height * (slope * theta * theta + d0 * t) / denominator;
        let curve = d1 * theta * theta + 2.0 * slope * t + d0 * rest * rest;
        let ratio = slope / denominator;
        (self.bottom + rise, (ratio * ratio * curve).ln())
    }

    #[inline(always)]
    pub(super) fn inverse(self, y: f32) -> f32 {
        let Self { d0, d1, .. } = self;
        let slope = self.height / self.width;
        let rise = y - self.bottom;
        let bent = rise * (d0 + d1 - 2.0 * slope);
        let a = bent + self.height * (slope - d0);
        let b = self.height * d0 - bent;
        let c = -slope * rise;
        // Never negative but by rounding.
        let discriminant = b * b - 4.0 * a * c;
        let root = if discriminant < 0.0 {
            0.0
        } else {
            discriminant.sqrt()
        };
        self.left + self.width * (2.0 * c / (-b - root))
    }

    /// Of a loss with the derivatives `grad_y` in y and `grad_log` in ln ∂y/∂x.
    #[inline(always)]
    pub(super) fn backward(self, x: f32, grad_y: f32, grad_log: f32) -> BinGradient {
        let Self { d0, d1, .. } = self;
        let slope = self.height / self.width;
        let theta = (x - self.left) / self.width;
        let rest = 1.0 - theta;
        let t = theta * rest;
        let bend = d0 + d1 - 2.0 * slope;
        let denominator = slope + bend * t;
        let rise = slope * theta * theta + d0 * t;
        let curve = d1 * theta * theta + 2.0 * slope * t + d0 * rest * rest;

        let grad_rise = grad_y * self.height / denominator;
        let grad_denominator = -(grad_rise * rise + 2.0 * grad_log) / denominator;
        let grad_curve = grad_log / curve;

        let grad_t = grad_rise * d0 + grad_denominator * bend + grad_curve * 2.0 * slope;
        let grad_theta = grad_rise * 2.0 * slope * theta
            + grad_curve * 2.0 * (d1 * theta - d0 * rest)
            + grad_t * (1.0 - 2.0 * theta);
        let grad_slope = grad_rise * theta * theta
            + grad_denominator * (1.0 - 2.0 * t)
            + grad_curve * 2.0 * t
            + 2.0 * grad_log / slope;
        let grad_x = grad_theta / self.width;
        BinGradient {
            x: grad_x,
            left: -grad_x,
            bottom: grad_y,
            width: -(grad_x * theta + grad_slope * slope / self.width),
            height: grad_y * rise / denominator + grad_slope / self.width,
            d0: grad_rise * t + grad_denominator * t + grad_curve * rest * rest,
            d1: grad_denominator * t + grad_curve * theta * theta,
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

/// Of sides scale·shareᵢ + minimum, where ∂L is `before` in those before `index` and `at` in that one.
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
