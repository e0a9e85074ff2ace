//! Roots of increasing functions, number by number, with the gradients of the implicit function
//! theorem.

use crate::{Result, transfer};
use candle_core::{DType, Tensor};

/// Steps after which every bracket has shrunk to a rounding.
const STEPS: usize = 300;

/// The x between `low` and `high` at which an increasing function reaches `target`, to the rounding
/// of the type. `f` gives value and slope at x. Nothing records a graph.
///
/// Newton's steps inside a shrinking bracket, and its middle where they leave it or do not halve
/// (Press et al., Numerical Recipes, section 9.4). A number that is found stays as it is, so its
/// bits do not depend on the others.
pub(crate) fn increasing_root(
    target: &Tensor,
    [mut low, mut high]: [Tensor; 2],
    f: impl Fn(&Tensor) -> Result<[Tensor; 2]>,
) -> Result<Tensor> {
    let rounding = match target.dtype() {
        DType::F64 => f64::EPSILON,
        _ => f64::from(f32::EPSILON),
    };
    let noise = target.abs()?.affine(4.0 * rounding, 4.0 * rounding)?;
    let middle = |low: &Tensor, high: &Tensor| (low * 0.5)? + (high * 0.5)?;
    let mut x = middle(&low, &high)?;
    let mut last = (&high - &low)?;
    // What is not finite has no root.
    let mut open = x.abs()?.lt(f64::INFINITY)?;
    if target.elem_count() == 0 {
        return Ok(x);
    }
    for _ in 0..STEPS {
        let [value, slope] = f(&x)?;
        let error = (value - target)?;
        let above = error.ge(0.0)?;
        high = above.where_cond(&x, &high)?;
        low = above.where_cond(&low, &x)?;
        // Below a rounding of the target, a step would follow noise.
        let settled = error.abs()?.le(&noise)?;
        let newton = (&x - (error / slope)?)?;
        let is_inside = (newton.ge(&low)? * newton.le(&high)?)?;
        let is_short = (&newton - &x)?.abs()?.le(&(&last * 0.5)?)?;
        let next = (is_inside * is_short)?.where_cond(&newton, &middle(&low, &high)?)?;
        let next = settled.where_cond(&x, &next)?;
        last = (&next - &x)?.abs()?;
        let found = last.le(&(x.abs()?.affine(rounding, rounding)?))?;
        x = open.where_cond(&next, &x)?;
        open = open.gt(&found)?;
        if transfer::scalar(&open.to_dtype(DType::F32)?.sum_all()?)? == 0.0 {
            break;
        }
    }
    Ok(x)
}

/// The root `x` of f(x) = `target`, with its gradients in the target and in the parameters of f:
/// `value` is f at x with their graph, and `slope` that of f.
pub(crate) fn implicit(
    x: &Tensor,
    target: &Tensor,
    value: &Tensor,
    slope: &Tensor,
) -> Result<Tensor> {
    x + ((target - value)? / slope.detach())?
}
