//! The specification, in plain candle operations.

use super::{Sizes, Spline};
use crate::pointwise::softplus;
use candle_core::{D, Result, Tensor};
use candle_nn::ops::softmax;

/// As [`super::forward`].
pub fn forward(x: &Tensor, h: &Tensor, spline: Spline) -> Result<(Tensor, Tensor)> {
    let parts = Parts::new(x, h, spline)?;
    let bin = parts.bin(&parts.widths)?;
    let theta = ((&parts.safe - &bin.left)? / &bin.width)?;
    let (rise, log_slope) = bin.rise_and_log_slope(&theta)?;
    let y2 = parts.or_itself(&(rise + &bin.bottom)?)?;
    let log_slope = parts
        .inside
        .where_cond(&log_slope, &log_slope.zeros_like()?)?;
    Ok((parts.join(&y2)?, log_slope.flatten_from(1)?.sum(1)?))
}

/// As [`super::inverse`].
pub fn inverse(y: &Tensor, h: &Tensor, spline: Spline) -> Result<Tensor> {
    let parts = Parts::new(y, h, spline)?;
    let bin = parts.bin(&parts.heights)?;
    let theta = bin.theta_of(&(&parts.safe - &bin.bottom)?)?;
    let x2 = parts.or_itself(&((theta * &bin.width)? + &bin.left)?)?;
    parts.join(&x2)
}

/// Numbers are `[B, C₂, pixels]`; what has a value for each bin has one more axis.
struct Parts {
    x: Tensor,
    sizes: Sizes,
    bound: f64,
    numbers: Tensor,
    inside: Tensor,
    /// The numbers, and 0 outside of the interval: there, a spline could overflow.
    safe: Tensor,
    widths: Tensor,
    heights: Tensor,
    /// At all K + 1 knots.
    derivatives: Tensor,
}

impl Parts {
    fn new(x: &Tensor, h: &Tensor, spline: Spline) -> Result<Self> {
        let sizes = Sizes::new(x.shape(), h.shape(), spline)?;
        let Sizes {
            batch,
            pixels,
            passing,
            transformed,
            parameters,
        } = sizes;
        let Spline { bins, bound, .. } = spline;
        let numbers = x
            .narrow(1, passing, transformed)?
            .reshape((batch, transformed, pixels))?;
        let h = h
            .reshape((batch, transformed, parameters, pixels))?
            .transpose(2, 3)?;
        let sides = |start, minimum: f64| {
            let share = softmax(&h.narrow(D::Minus1, start, bins)?.contiguous()?, D::Minus1)?;
            share.affine(
                2.0 * bound * (1.0 - minimum * bins as f64),
                2.0 * bound * minimum,
            )
        };
        let end = Tensor::ones((batch, transformed, pixels, 1), x.dtype(), x.device())?;
        let raw = h.narrow(D::Minus1, 2 * bins, bins - 1)?.contiguous()?;
        let inner = (softplus(&raw)? + spline.min_derivative)?;
        let inside = (numbers.ge(-bound)? * numbers.le(bound)?)?;
        Ok(Self {
            safe: inside.where_cond(&numbers, &numbers.zeros_like()?)?,
            inside,
            numbers,
            widths: sides(0, spline.min_width)?,
            heights: sides(bins, spline.min_height)?,
            derivatives: Tensor::cat(&[&end, &inner, &end], D::Minus1)?,
            x: x.clone(),
            sizes,
            bound,
        })
    }

    /// The bin of each number, on the axis whose `sides` are given.
    fn bin(&self, sides: &Tensor) -> Result<Bin> {
        let bins = sides.dim(D::Minus1)?;
        let starts = self.starts(sides)?.detach();
        let after = self
            .safe
            .detach()
            .unsqueeze(D::Minus1)?
            .broadcast_ge(&starts)?;
        let after = after.to_dtype(sides.dtype())?;
        // The first bin begins where the interval does, whatever rounding says.
        let first = after.narrow(D::Minus1, 0, 1)?.ones_like()?;
        let rest = after.narrow(D::Minus1, 1, bins - 1)?;
        let after = Tensor::cat(&[&first, &rest], D::Minus1)?;
        let next = Tensor::cat(&[&rest, &first.zeros_like()?], D::Minus1)?;
        let chosen = (after - next)?;
        let choose = |values: &Tensor| (values * &chosen)?.sum(D::Minus1);
        let (width, height) = (choose(&self.widths)?, choose(&self.heights)?);
        Ok(Bin {
            left: choose(&self.starts(&self.widths)?)?,
            bottom: choose(&self.starts(&self.heights)?)?,
            slope: (&height / &width)?,
            width,
            height,
            d0: choose(&self.derivatives.narrow(D::Minus1, 0, bins)?)?,
            d1: choose(&self.derivatives.narrow(D::Minus1, 1, bins)?)?,
        })
    }

    /// Where bins begin.
    fn starts(&self, sides: &Tensor) -> Result<Tensor> {
        (sides.cumsum(D::Minus1)? - sides)? - self.bound
    }

    fn or_itself(&self, values: &Tensor) -> Result<Tensor> {
        self.inside.where_cond(values, &self.numbers)
    }

    /// What passes, and before it what has been transformed, in the shape of x.
    fn join(&self, transformed: &Tensor) -> Result<Tensor> {
        let (batch, passing) = (self.sizes.batch, self.sizes.passing);
        let shape = self.x.dims();
        let all = if passing == 0 {
            transformed.clone()
        } else {
            let x = self.x.narrow(1, 0, passing)?;
            let x1 = x.reshape((batch, passing, self.sizes.pixels))?;
            Tensor::cat(&[&x1, transformed], 1)?
        };
        all.reshape(shape)
    }
}

struct Bin {
    left: Tensor,
    bottom: Tensor,
    width: Tensor,
    height: Tensor,
    slope: Tensor,
    d0: Tensor,
    d1: Tensor,
}

impl Bin {
    /// d₀ + d₁ − 2δ.
    fn bend(&self) -> Result<Tensor> {
        (&self.d0 + &self.d1)? - (&self.slope * 2.0)?
    }

    /// y − bottom and ln ∂y/∂x at θ.
    fn rise_and_log_slope(&self, theta: &Tensor) -> Result<(Tensor, Tensor)> {
        let rest = theta.affine(-1.0, 1.0)?;
        let t = (theta * &rest)?;
        let denominator = (&self.slope + (self.bend()? * &t)?)?;
        let rise = ((&self.slope * theta.sqr()?)? + (&self.d0 * &t)?)?;
        let rise = ((&self.height * rise)? / &denominator)?;
        let curve = ((&self.d1 * theta.sqr()?)? + ((&self.slope * &t)? * 2.0)?)?;
        let curve = (curve + (&self.d0 * rest.sqr()?)?)?;
        let log_slope = ((self.slope.log()? - denominator.log()?)? * 2.0)?;
        Ok((rise, (log_slope + curve.log()?)?))
    }

    /// The θ at which y − bottom is `rise`.
    fn theta_of(&self, rise: &Tensor) -> Result<Tensor> {
        let bent = (rise * self.bend()?)?;
        let a = (&bent + (&self.height * (&self.slope - &self.d0)?)?)?;
        let b = ((&self.height * &self.d0)? - &bent)?;
        let c = (&self.slope * rise)?.neg()?;
        // Never negative but by rounding.
        let discriminant = (b.sqr()? - ((a * &c)? * 4.0)?)?.relu()?;
        (c * 2.0)? / (b + discriminant.sqrt()?)?.neg()?
    }
}
