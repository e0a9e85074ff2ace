//! The affine transform of a coupling together with its log-determinant.
//!
//! ```text
//! shift, raw = h;  ln s = scale_map(raw)
//! y       = cat(x₁, (x₂ + shift) ⊙ s)             x: [B, C, …]  h: [B, 2·C₂, …]
//! log_det = Σ ln s                                 [B]
//! x₂      = y₂ ⊙ exp(−ln s) − shift
//! ```
//!
//! or, scaled first, x₂ ⊙ s + shift and (y₂ − shift) ⊙ exp(−ln s).
//!
//! x₂ are the last C₂ channels of x, where h has 2·C₂.

mod fused;
mod scale;

pub use scale::ScaleMap;

use super::elementwise::{Direction, apply};
use super::{channel_split, empty_output, fusible};
use candle_core::{Result, Tensor};
use fused::Affine;

/// Order of shift and scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
pub enum Order {
    /// y₂ = (x₂ + shift) ⊙ s: Glow's published code.
    #[default]
    ShiftFirst,
    /// y₂ = x₂ ⊙ s + shift: RealNVP's paper.
    ScaleFirst,
}

/// y and log_det `[B]`, of `x` `[B, C, …]` and the network's `h` `[B, 2·C₂, …]`.
///
/// # Errors
/// If the shapes do not fit.
pub fn forward(x: &Tensor, h: &Tensor, map: ScaleMap, order: Order) -> Result<(Tensor, Tensor)> {
    channel_split("affine", x.shape(), h.shape(), 2)?;
    if x.elem_count() == 0 {
        return empty_output(x);
    }
    if !fusible(x) {
        return composed::forward(x, h, map, order);
    }
    apply(Affine(map, order), Direction::Forward, x, h)
}

/// The x for which `forward(x, h, map, order)` gives `y`.
///
/// # Errors
/// If the shapes do not fit.
pub fn inverse(y: &Tensor, h: &Tensor, map: ScaleMap, order: Order) -> Result<Tensor> {
    channel_split("affine", y.shape(), h.shape(), 2)?;
    if y.elem_count() == 0 {
        return Ok(y.clone());
    }
    // Samples need no graph; gradients of a sample take the composed form.
    if !fusible(y) || y.track_op() || h.track_op() {
        return composed::inverse(y, h, map, order);
    }
    let (x, _) = apply(Affine(map, order), Direction::Inverse, y, h)?;
    Ok(x)
}

/// The x of [`inverse`], and ln|det ∂x/∂y| `[B]`: −Σ ln s. With a graph it is fused, too.
///
/// # Errors
/// If the shapes do not fit.
pub fn inverse_with_log_det(
    y: &Tensor,
    h: &Tensor,
    map: ScaleMap,
    order: Order,
) -> Result<(Tensor, Tensor)> {
    channel_split("affine", y.shape(), h.shape(), 2)?;
    if y.elem_count() == 0 {
        return empty_output(y);
    }
    if !fusible(y) {
        return composed::inverse_with_log_det(y, h, map, order);
    }
    apply(Affine(map, order), Direction::Inverse, y, h)
}

/// The specification, in plain candle operations.
pub mod composed {
    use super::{Order, ScaleMap};
    use crate::ops::elementary::saturating_exp;
    use candle_core::{Result, Tensor};

    /// As [`super::forward`].
    pub fn forward(
        x: &Tensor,
        h: &Tensor,
        map: ScaleMap,
        order: Order,
    ) -> Result<(Tensor, Tensor)> {
        let (x1, x2, shift, log_scale) = parts(x, h, map)?;
        let scale = log_scale.exp()?;
        let y2 = match order {
            Order::ShiftFirst => ((x2 + shift)? * scale)?,
            Order::ScaleFirst => ((x2 * scale)? + shift)?,
        };
        Ok((
            Tensor::cat(&[x1, y2], 1)?,
            log_scale.flatten_from(1)?.sum(1)?,
        ))
    }

    /// As [`super::inverse`].
    pub fn inverse(y: &Tensor, h: &Tensor, map: ScaleMap, order: Order) -> Result<Tensor> {
        let (y1, y2, shift, log_scale) = parts(y, h, map)?;
        Tensor::cat(&[y1, unscaled(&y2, &shift, &log_scale, order)?], 1)
    }

    /// As [`super::inverse_with_log_det`].
    pub fn inverse_with_log_det(
        y: &Tensor,
        h: &Tensor,
        map: ScaleMap,
        order: Order,
    ) -> Result<(Tensor, Tensor)> {
        let (y1, y2, shift, log_scale) = parts(y, h, map)?;
        let x2 = unscaled(&y2, &shift, &log_scale, order)?;
        let log_det = log_scale.flatten_from(1)?.sum(1)?.neg()?;
        Ok((Tensor::cat(&[y1, x2], 1)?, log_det))
    }

    fn unscaled(y2: &Tensor, shift: &Tensor, log_scale: &Tensor, order: Order) -> Result<Tensor> {
        let inverse_scale = saturating_exp(&log_scale.neg()?)?;
        match order {
            Order::ShiftFirst => (y2 * inverse_scale)? - shift,
            Order::ScaleFirst => (y2 - shift)? * inverse_scale,
        }
    }

    fn parts(x: &Tensor, h: &Tensor, map: ScaleMap) -> Result<(Tensor, Tensor, Tensor, Tensor)> {
        let transformed = h.dim(1)? / 2;
        let passing = x.dim(1)? - transformed;
        let log_scale = map.log_scale(&h.narrow(1, transformed, transformed)?)?;
        Ok((
            x.narrow(1, 0, passing)?,
            x.narrow(1, passing, transformed)?,
            h.narrow(1, 0, transformed)?,
            log_scale,
        ))
    }
}
