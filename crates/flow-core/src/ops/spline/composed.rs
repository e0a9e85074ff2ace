//! The specification, in plain candle operations.

use super::{Ends, IntervalSpline, channels};
use crate::ops::elementary::softplus;
use candle_core::{D, Result, Tensor};
use candle_nn::ops::softmax;

/// As [`super::forward`].
pub fn forward(
    x: &Tensor,
    h: &Tensor,
    spline: impl Into<IntervalSpline>,
) -> Result<(Tensor, Tensor)> {
    let parts = Parts::new(x, h, spline.into())?;
    let bin = parts.bin(&parts.widths)?;
    let (y2, log_slope) = bin.forward(&parts.safe)?;
    let log_slope = parts
        .inside
        .where_cond(&log_slope, &log_slope.zeros_like()?)?;
    Ok((parts.join(&y2)?, log_slope.flatten_from(1)?.sum(1)?))
}

/// As [`super::inverse`].
pub fn inverse(y: &Tensor, h: &Tensor, spline: impl Into<IntervalSpline>) -> Result<Tensor> {
    let parts = Parts::new(y, h, spline.into())?;
    let bin = parts.bin(&parts.heights)?;
    parts.join(&bin.inverse(&parts.safe)?)
}

/// As [`super::inverse_with_log_det`].
pub fn inverse_with_log_det(
    y: &Tensor,
    h: &Tensor,
    spline: impl Into<IntervalSpline>,
) -> Result<(Tensor, Tensor)> {
    let parts = Parts::new(y, h, spline.into())?;
    let bin = parts.bin(&parts.heights)?;
    let x = bin.inverse(&parts.safe)?;
    let (_, log_slope) = bin.forward(&x)?;
    let log_slope = parts
        .inside
        .where_cond(&log_slope, &log_slope.zeros_like()?)?;
    Ok((parts.join(&x)?, log_slope.flatten_from(1)?.sum(1)?.neg()?))
}

/// Numbers are `[B, C₂, pixels]`; values per bin have one more axis.
struct Parts {
    x: Tensor,
    /// Number of passing channels.
    passing: usize,
    low: f64,
    high: f64,
    numbers: Tensor,
    inside: Tensor,
    /// The numbers, or one of the interval outside it, where a spline could overflow.
    safe: Tensor,
    widths: Tensor,
    heights: Tensor,
    /// At all K + 1 knots.
    derivatives: Tensor,
}

impl Parts {
    fn new(x: &Tensor, h: &Tensor, spline: IntervalSpline) -> Result<Self> {
        let [passing, transformed] = channels(x, h, spline)?;
        let (batch, pixels) = (x.dim(0)?, x.dims()[2..].iter().product::<usize>());
        let IntervalSpline {
            bins, low, high, ..
        } = spline;
        let numbers = x
            .narrow(1, passing, transformed)?
            .reshape((batch, transformed, pixels))?;
        let h = h
            .reshape((batch, transformed, spline.parameters(), pixels))?
            .transpose(2, 3)?;
        let sides = |start, minimum: f64| {
            let share = softmax(&h.narrow(D::Minus1, start, bins)?.contiguous()?, D::Minus1)?;
            let whole = high - low;
            share.affine(whole * (1.0 - minimum * bins as f64), whole * minimum)
        };
        let inside = (numbers.ge(low)? * numbers.le(high)?)?;
        let somewhere = numbers
            .zeros_like()?
            .affine(1.0, 0.0_f64.clamp(low, high))?;
        Ok(Self {
            safe: inside.where_cond(&numbers, &somewhere)?,
            inside,
            numbers,
            widths: sides(0, spline.min_width)?,
            heights: sides(bins, spline.min_height)?,
            derivatives: derivatives(&h, spline)?,
            x: x.clone(),
            passing,
            low,
            high,
        })
    }

    /// The bin of each number, on the axis with the given `sides`.
    fn bin(&self, sides: &Tensor) -> Result<Bin> {
        let bins = sides.dim(D::Minus1)?;
        let inner = self.knots(sides)?.narrow(D::Minus1, 1, bins - 1)?.detach();
        let numbers = self.safe.detach().unsqueeze(D::Minus1)?;
        let after = numbers.broadcast_ge(&inner)?.to_dtype(sides.dtype())?;
        let end = numbers.zeros_like()?;
        let after = Tensor::cat(&[&end.affine(0.0, 1.0)?, &after, &end], D::Minus1)?;
        let (after, next) = (
            after.narrow(D::Minus1, 0, bins)?,
            after.narrow(D::Minus1, 1, bins)?,
        );
        let chosen = (after - next)?;
        let choose = |values: &Tensor, start: usize| {
            (values.narrow(D::Minus1, start, bins)? * &chosen)?.sum(D::Minus1)
        };
        let (x, y) = (self.knots(&self.widths)?, self.knots(&self.heights)?);
        let (left, bottom) = (choose(&x, 0)?, choose(&y, 0)?);
        let (width, height) = ((choose(&x, 1)? - &left)?, (choose(&y, 1)? - &bottom)?);
        let slope = (&height / &width)?;
        Ok(Bin {
            left,
            bottom,
            width,
            height,
            d0: (choose(&self.derivatives, 0)? / &slope)?,
            d1: (choose(&self.derivatives, 1)? / &slope)?,
            slope,
        })
    }

    /// The K + 1 ends of bins. The first and the last are exactly those of the interval.
    fn knots(&self, sides: &Tensor) -> Result<Tensor> {
        let bins = sides.dim(D::Minus1)?;
        let inner = (sides.cumsum(D::Minus1)?.narrow(D::Minus1, 0, bins - 1)? + self.low)?;
        let end = sides.narrow(D::Minus1, 0, 1)?.zeros_like()?;
        let ends = [self.low, self.high].map(|at| end.affine(0.0, at));
        let [first, last] = ends;
        Tensor::cat(&[&first?, &inner, &last?], D::Minus1)
    }

    /// The passing channels, then the transformed ones, in the shape of x. Numbers outside the
    /// interval stay as they are.
    fn join(&self, transformed: &Tensor) -> Result<Tensor> {
        // Rounding may exceed the interval.
        let beyond = (transformed - self.high)?.relu()?.detach();
        let transformed = (transformed - beyond)?;
        let transformed = self.inside.where_cond(&transformed, &self.numbers)?;
        let all = if self.passing == 0 {
            transformed
        } else {
            let (batch, _, pixels) = transformed.dims3()?;
            let x1 = self.x.narrow(1, 0, self.passing)?;
            let x1 = x1.reshape((batch, self.passing, pixels))?;
            Tensor::cat(&[&x1, &transformed], 1)?
        };
        all.reshape(self.x.dims())
    }
}

/// Derivatives at all K + 1 knots, from the last of the parameters `h` `[…, parameters]`.
fn derivatives(h: &Tensor, spline: IntervalSpline) -> Result<Tensor> {
    let count = spline.free_derivatives();
    let raw = h.narrow(D::Minus1, 2 * spline.bins, count)?.contiguous()?;
    let free = (softplus(&raw)? + spline.min_derivative)?;
    match spline.ends {
        Ends::Free => Ok(free),
        Ends::Circular => {
            let first = free.narrow(D::Minus1, 0, 1)?;
            Tensor::cat(&[&free, &first], D::Minus1)
        }
        Ends::Linear => {
            let end = h.narrow(D::Minus1, 0, 1)?.ones_like()?;
            Tensor::cat(&[&end, &free, &end], D::Minus1)
        }
    }
}

struct Bin {
    left: Tensor,
    bottom: Tensor,
    width: Tensor,
    height: Tensor,
    /// δ = height / width.
    slope: Tensor,
    /// Derivatives at both ends, as multiples of δ.
    d0: Tensor,
    d1: Tensor,
}

impl Bin {
    /// y and ln ∂y/∂x.
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let theta = ((x - &self.left)? / &self.width)?;
        let rest = theta.affine(-1.0, 1.0)?;
        let t = (&theta * &rest)?;
        let (before, after) = (theta.sqr()?, rest.sqr()?);
        let rise = (&before + (&self.d0 * &t)?)?;
        let whole = (&rise + (&after + (&self.d1 * &t)?)?)?;
        let curve = ((&self.d1 * before)? + ((&self.d0 * after)? + (t * 2.0)?)?)?;
        let y = (&self.bottom + (&self.height * (rise / &whole)?)?)?;
        let log_slope = ((self.slope.log()? + curve.log()?)? - (whole.log()? * 2.0)?)?;
        Ok((y, log_slope))
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        let rho = ((y - &self.bottom)? / &self.height)?;
        let rest = rho.affine(-1.0, 1.0)?;
        let lean = ((&self.d0 * &rest)? - (&self.d1 * &rho)?)?;
        let right = lean.ge(0.0)?;
        let magnitude = lean.abs()?;
        // The square of the lean may overflow.
        let size = magnitude.maximum(1.0)?.detach();
        let spread = ((((&rho * &rest)? * 4.0)? / &size)? / &size)?;
        let root = ((lean / &size)?.sqr()? + spread)?.sqrt()?;
        let sum = (magnitude + (root * size)?)?;
        let before = right.where_cond(&(rho * 2.0)?, &sum)?;
        let after = right.where_cond(&sum, &(rest * 2.0)?)?;
        let theta = (&before / (&before + after)?)?;
        &self.left + (&self.width * theta)?
    }
}
