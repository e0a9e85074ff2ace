//! Proofs that a bijection is one: what every new bijection must pass, in this crate and in others.
//!
//! Run them in f64 and at random parameter values: where a coupling starts as the identity, wrong
//! signs and forgotten terms do not show.

use crate::params::ParamStore;
use crate::{Bijection, Gradients, Result, linalg, random};
use candle_core::{DType, Tensor, Var, bail};

/// Moves every trained parameter by a draw from N(0, std²), away from where models start.
pub fn randomize(params: &ParamStore, seed: u64, std: f64) -> Result<()> {
    for (name, var) in params.vars() {
        // A rotation that is no longer orthogonal is still invertible, but it is no longer ours.
        if !name.ends_with("rotation") {
            let draw = random::normal(
                random::derive(seed, &name),
                var.shape(),
                var.dtype(),
                var.device(),
            )?;
            var.set(&(var.as_tensor() + (draw * std)?)?)?;
        }
    }
    Ok(())
}

/// # Errors
/// If any two numbers differ by more than `tolerance` · (1 + the larger magnitude in `expected`), or
/// are not numbers.
pub fn close(actual: &Tensor, expected: &Tensor, tolerance: f64) -> Result<()> {
    let distance = distance(actual, expected)?;
    if distance.is_nan() || distance > tolerance {
        let size = largest(&expected.to_dtype(DType::F64)?)?;
        let error = distance * (1.0 + size);
        bail!("values differ by {error:e} where they reach {size:e}");
    }
    Ok(())
}

/// The largest difference between two numbers, relative to 1 + the largest magnitude in `expected`;
/// not a number if one of them is none.
///
/// # Errors
/// If the shapes differ.
pub fn distance(actual: &Tensor, expected: &Tensor) -> Result<f64> {
    if actual.shape() != expected.shape() {
        bail!("shape {:?} is not {:?}", actual.shape(), expected.shape());
    }
    let (actual, expected) = (actual.to_dtype(DType::F64)?, expected.to_dtype(DType::F64)?);
    Ok(largest(&(actual - &expected)?)? / (1.0 + largest(&expected)?))
}

fn largest(tensor: &Tensor) -> Result<f64> {
    let values = tensor.abs()?.flatten_all()?.to_vec1::<f64>()?;
    // `f64::max` would drop NaN.
    Ok(values.into_iter().fold(0.0, |max, value| {
        if value.is_nan() || value > max {
            value
        } else {
            max
        }
    }))
}

/// # Errors
/// If inverse(forward(x)) is not x, or forward(inverse(x)) is not x.
pub fn round_trip(bijection: &dyn Bijection, x: &Tensor, tolerance: f64) -> Result<()> {
    let (y, _) = bijection.forward(x)?;
    close(&bijection.inverse(&y)?, x, tolerance)?;
    close(&bijection.forward(&bijection.inverse(x)?)?.0, x, tolerance)
}

/// # Errors
/// If `forward`'s log-determinant of any sample of `x` differs from that of the Jacobian by automatic
/// differentiation, or the Jacobian of `inverse` does not have the opposite one.
pub fn log_det(bijection: &dyn Bijection, x: &Tensor, tolerance: f64) -> Result<()> {
    for sample in 0..x.dim(0)? {
        let x = x.narrow(0, sample, 1)?;
        let (y, log_det) = bijection.forward(&x)?;
        let forward = jacobian_log_det(|x| Ok(bijection.forward(x)?.0), &x)?;
        let inverse = jacobian_log_det(|y| bijection.inverse(y), &y)?;
        close(&log_det, &forward, tolerance)?;
        close(&log_det.neg()?, &inverse, tolerance)?;
    }
    Ok(())
}

/// ln|det ∂f/∂x| of one sample `x` `[1, …]`, as `[1]` in f64, by automatic differentiation.
pub fn jacobian_log_det(f: impl Fn(&Tensor) -> Result<Tensor>, x: &Tensor) -> Result<Tensor> {
    let rows = jacobian(f, x, 1)?;
    Tensor::new(&[linalg::log_abs_det(&rows)?], x.device())
}

/// The largest condition number of ∂f/∂x at any sample of `x`: by how much f or its inverse can enlarge the
/// relative rounding of its input. A random flow can by chance have none of its sixteen digits left.
pub fn condition(bijection: &dyn Bijection, x: &Tensor) -> Result<f64> {
    let mut worst = 0.0_f64;
    for sample in 0..x.dim(0)? {
        let sample = x.narrow(0, sample, 1)?;
        let jacobian = jacobian(|x| Ok(bijection.forward(x)?.0), &sample, 1)?;
        worst = worst.max(linalg::condition(&jacobian));
    }
    Ok(worst)
}

/// ∂f/∂x of one sample `x` `[1, …]`, in f64 on the host, by automatic differentiation: a row for each
/// number of f(x).
///
/// `f` is applied once, to a batch of `copies` of `x`; each way back through it then gives as many rows,
/// one from each copy. More copies take less time and more memory.
pub fn jacobian(
    f: impl Fn(&Tensor) -> Result<Tensor>,
    x: &Tensor,
    copies: usize,
) -> Result<Vec<Vec<f64>>> {
    let batch = vec![x.detach(); copies];
    let x = Var::from_tensor(&Tensor::cat(&batch, 0)?)?;
    let y = f(x.as_tensor())?.flatten_from(1)?;
    let outputs = y.dim(1)?;
    let identity = Tensor::eye(outputs, y.dtype(), y.device())?;
    let mut rows = Vec::with_capacity(outputs);
    for start in (0..outputs).step_by(copies) {
        let count = copies.min(outputs - start);
        let chosen = (y.narrow(0, 0, count)? * identity.narrow(0, start, count)?)?;
        let grads = chosen.sum_all()?.backward()?;
        let grad = match grads.get(&x) {
            Some(grad) => grad.clone(),
            None => x.zeros_like()?,
        };
        let grad = grad.narrow(0, 0, count)?.flatten_from(1)?;
        rows.extend(grad.to_dtype(DType::F64)?.to_vec2::<f64>()?);
    }
    Ok(rows)
}

/// # Errors
/// If [`Bijection::backward`] and automatic differentiation disagree on x, on ∂L/∂x or on the gradient
/// of any parameter in `params`, for a random linear loss L.
pub fn gradients(
    bijection: &dyn Bijection,
    params: &ParamStore,
    x: &Tensor,
    tolerance: f64,
) -> Result<()> {
    let x = Var::from_tensor(&x.detach().copy()?)?;
    let (y, log_det) = bijection.forward(x.as_tensor())?;
    let grad_y = random::normal(1, y.shape(), y.dtype(), y.device())?;
    let grad_log_det = random::normal(2, log_det.shape(), y.dtype(), y.device())?;
    let loss = ((&y * &grad_y)?.sum_all()? + (&log_det * &grad_log_det)?.sum_all()?)?;
    let store = loss.backward()?;
    let mut expected = Gradients::new(params);
    expected.add(&store)?;

    let mut grads = Gradients::new(params);
    let (recovered, grad_x) =
        bijection.backward(&y.detach(), &grad_y, &grad_log_det, &mut grads)?;
    close(&recovered, x.as_tensor(), tolerance)?;
    if let Some(expected) = store.get(&x) {
        close(&grad_x, expected, tolerance)?;
    }
    for (name, _, expected) in expected.iter() {
        let Some(actual) = grads.get(name) else {
            bail!("`{name}` has a gradient, but not from `backward`");
        };
        if let Err(error) = close(actual, expected, tolerance) {
            bail!("gradient of `{name}`: {error}");
        }
    }
    Ok(())
}
