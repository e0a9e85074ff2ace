//! Inverses that map finite latents of any size to finite numbers.
//!
//! The inverse of a flow can expand without bound: far latents overflow f32 on the way, and ∞ − ∞
//! is NaN. Such a sample is decoded again, with the output of every part clamped to ±10¹⁸, where
//! networks still give finite numbers. Other samples keep their bits.

use crate::{Bijection, Result, finite_rows};
use candle_core::{DType, Tensor};

/// The x of the latents `z` `[B, …]`; see the module.
pub(super) fn inverse(bijection: &impl Bijection, z: &Tensor) -> Result<Tensor> {
    let x = bijection.inverse(z)?;
    let rows = finite_rows(&x)?;
    if rows.iter().all(|&finite| finite) {
        return Ok(x);
    }
    let saturated = bijection.inverse_within(&saturate(z.clone())?, saturate)?;
    let rows = rows.into_iter().enumerate();
    let rows = rows.map(|(i, finite)| if finite { &x } else { &saturated }.narrow(0, i, 1));
    Tensor::cat(&rows.collect::<Result<Vec<_>>>()?, 0)
}

/// The numbers clamped to the limit; NaN stays NaN.
fn saturate(x: Tensor) -> Result<Tensor> {
    // Half the exponent range, so that products of two such numbers are finite.
    let limit = match x.dtype() {
        DType::F64 => 1e150,
        _ => 1e18,
    };
    // Not every device keeps NaN when it clamps.
    let is_nan = x.ne(&x)?;
    is_nan.where_cond(&x, &x.clamp(-limit, limit)?)
}
