//! Checks that every bijection must pass, in this crate and in others.
//!
//! Run them in f64 and at random parameter values. A coupling that starts as the identity hides
//! wrong signs and forgotten terms.

use crate::params::ParamStore;
use crate::{Bijection, Gradients, Result, device, linalg, random, transfer};
use candle_core::{DType, Device, Tensor, Var, bail};

/// Bounds of the checks on one device and in one precision.
#[derive(Clone, Debug)]
pub struct Tolerances {
    /// The device.
    pub device: Device,
    /// The type of inputs and parameters.
    pub dtype: DType,
    /// The largest valid [`condition`] of a bijection.
    pub condition: f64,
    /// Bound of [`round_trip`].
    pub round_trip: f64,
    /// Bound of [`log_det`].
    pub log_det: f64,
    /// Bound of [`gradients`].
    pub gradients: f64,
}

impl Tolerances {
    /// Tolerances in double precision, on the CPU.
    pub fn double() -> Self {
        Self {
            device: Device::Cpu,
            dtype: DType::F64,
            condition: 1e5,
            round_trip: 1e-9,
            log_det: 1e-8,
            gradients: 1e-9,
        }
    }

    /// Tolerances in single precision.
    pub fn single(device: Device) -> Self {
        Self {
            device,
            dtype: DType::F32,
            condition: 1e2,
            round_trip: 1e-4,
            log_det: 1e-4,
            gradients: 1e-4,
        }
    }
}

/// Tolerances of the CPU and, if build and machine have one, of an accelerator.
pub fn devices() -> Vec<Tolerances> {
    let accelerators = [device::cuda(0), device::metal()].into_iter().flatten();
    let accelerators = accelerators.map(Tolerances::single);
    [Tolerances::double()]
        .into_iter()
        .chain(accelerators)
        .collect()
}

/// Adds a draw from N(0, std²) to every trained parameter, to leave the initial state.
pub fn randomize(params: &ParamStore, seed: u64, std: f64) -> Result<()> {
    for (name, var) in params.vars() {
        // Adding noise would keep a rotation invertible, but not orthogonal.
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
/// If two numbers differ by more than `tolerance` · (1 + the largest magnitude in `expected`), or
/// any is NaN.
pub fn close(actual: &Tensor, expected: &Tensor, tolerance: f64) -> Result<()> {
    let distance = distance(actual, expected)?;
    if distance.is_nan() || distance > tolerance {
        let [size] = largest([&widened(expected)?])?;
        let error = distance * (1.0 + size);
        bail!("values differ by {error:e} where they reach {size:e}");
    }
    Ok(())
}

/// The largest difference between two numbers, relative to 1 + the largest magnitude in `expected`;
/// NaN if any number is NaN.
///
/// # Errors
/// If the shapes differ.
pub fn distance(actual: &Tensor, expected: &Tensor) -> Result<f64> {
    if actual.shape() != expected.shape() {
        bail!("shape {:?} is not {:?}", actual.shape(), expected.shape());
    }
    if actual.elem_count() == 0 {
        return Ok(0.0);
    }
    let (actual, expected) = (widened(actual)?, widened(expected)?);
    let [difference, size] = largest([&(actual - &expected)?, &expected])?;
    Ok(difference / (1.0 + size))
}

/// The tensor in f64, or in f32 on Metal, which has no f64.
fn widened(tensor: &Tensor) -> Result<Tensor> {
    if tensor.device().is_metal() {
        Ok(tensor.clone())
    } else {
        tensor.to_dtype(DType::F64)
    }
}

/// The largest magnitude in each tensor, computed on its device; NaN if any element is NaN.
fn largest<const N: usize>(tensors: [&Tensor; N]) -> Result<[f64; N]> {
    let mut found = Vec::with_capacity(2 * N);
    for tensor in tensors {
        // A maximum may drop NaN; only NaN differs from itself.
        let strange = tensor.ne(tensor)?.to_dtype(tensor.dtype())?;
        found.extend([tensor.abs()?.max_all()?, strange.sum_all()?]);
    }
    let found = transfer::numbers(&Tensor::stack(&found, 0)?)?;
    Ok(std::array::from_fn(|i| {
        if found[2 * i + 1] > 0.0 {
            f64::NAN
        } else {
            found[2 * i]
        }
    }))
}

/// # Errors
/// If inverse(forward(x)) or forward(inverse(x)) differs from x.
pub fn round_trip(bijection: &dyn Bijection, x: &Tensor, tolerance: f64) -> Result<()> {
    let (y, _) = bijection.forward(x)?;
    close(&bijection.inverse(&y)?, x, tolerance)?;
    close(&bijection.forward(&bijection.inverse(x)?)?.0, x, tolerance)
}

/// # Errors
/// If `forward`'s log-determinant of any sample of `x` differs from that of the Jacobian by
/// automatic differentiation, or the Jacobian of `inverse` does not have its negative.
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

/// ln|det ∂f/∂x| of one sample `x` `[1, …]`, as `[1]` in the type of x, by automatic
/// differentiation.
fn jacobian_log_det(f: impl Fn(&Tensor) -> Result<Tensor>, x: &Tensor) -> Result<Tensor> {
    let rows = jacobian(f, x, 1)?;
    transfer::upload(vec![linalg::log_abs_det(&rows)?], 1, x.dtype(), x.device())
}

/// The largest condition number of ∂f/∂x at any sample of `x`: the factor by which f or its inverse
/// can enlarge the relative rounding of its input. A random flow can by chance lose all sixteen
/// digits.
pub fn condition(bijection: &dyn Bijection, x: &Tensor) -> Result<f64> {
    let mut worst = 0.0_f64;
    for sample in 0..x.dim(0)? {
        let sample = x.narrow(0, sample, 1)?;
        let jacobian = jacobian(|x| Ok(bijection.forward(x)?.0), &sample, 1)?;
        worst = worst.max(linalg::condition(&jacobian));
    }
    Ok(worst)
}

/// The condition number of the gradient that [`gradients`] compares: the factor by which it
/// enlarges the relative rounding of `x`. Splines bend within a small part of a bin, so it can be
/// large where [`condition`] is small.
pub fn gradient_condition(bijection: &dyn Bijection, x: &Tensor) -> Result<f64> {
    let gradient = |x: &Tensor| {
        let x = Var::from_tensor(&x.detach().copy()?)?;
        let (y, log_det) = bijection.forward(x.as_tensor())?;
        let [grad_y, grad_log_det] = loss_gradients(&y, &log_det)?;
        let outputs = [(&y, &grad_y), (&log_det, &grad_log_det)];
        let [grad_x] = Gradients::new(&ParamStore::new(0)).pull_back(&outputs, [&x])?;
        Ok::<_, candle_core::Error>(grad_x)
    };
    let step = match x.dtype() {
        DType::F64 => f64::EPSILON.sqrt(),
        _ => f64::from(f32::EPSILON).sqrt(),
    };
    let [size] = largest([&widened(x)?])?;
    let signs = random::normal(3, x.shape(), x.dtype(), x.device())?.sign()?;
    let beside = (x + (signs * (step * (1.0 + size)))?)?;
    Ok(distance(&gradient(&beside)?, &gradient(x)?)? / step)
}

/// Gradients of a random linear loss with respect to y and the log-determinant.
fn loss_gradients(y: &Tensor, log_det: &Tensor) -> Result<[Tensor; 2]> {
    Ok([
        random::normal(1, y.shape(), y.dtype(), y.device())?,
        random::normal(2, log_det.shape(), y.dtype(), y.device())?,
    ])
}

/// ∂f/∂x of one sample `x` `[1, …]`, in f64 on the host, by automatic differentiation, with a row
/// for each number of f(x).
///
/// `f` is applied once, to a batch of `copies` of `x`. Each backward pass then gives that many
/// rows, one from each copy. More copies take less time and more memory.
pub fn jacobian(
    f: impl Fn(&Tensor) -> Result<Tensor>,
    x: &Tensor,
    copies: usize,
) -> Result<Vec<Vec<f64>>> {
    let batch = vec![x.detach(); copies];
    let x = Var::from_tensor(&Tensor::cat(&batch, 0)?)?;
    let y = f(x.as_tensor())?.flatten_from(1)?;
    let outputs = y.dim(1)?;
    let identity = Tensor::eye(outputs, y.dtype(), &Device::Cpu)?;
    let identity = transfer::from_host(&identity, y.device())?;
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
        rows.extend(transfer::rows(&grad)?);
    }
    Ok(rows)
}

/// # Errors
/// If [`Bijection::backward`] and automatic differentiation disagree on x, on ∂L/∂x or on the
/// gradient of any parameter in `params`, for a random linear loss L.
pub fn gradients(
    bijection: &dyn Bijection,
    params: &ParamStore,
    x: &Tensor,
    tolerance: f64,
) -> Result<()> {
    let x = Var::from_tensor(&x.detach().copy()?)?;
    let (y, log_det) = bijection.forward(x.as_tensor())?;
    let [grad_y, grad_log_det] = loss_gradients(&y, &log_det)?;
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

/// # Errors
/// If automatic differentiation through `inverse` is wrong. The gradient of f⁻¹(f(x)) must be the
/// identity's in x, and zero in each parameter of `params`.
pub fn inverse_gradients(
    bijection: &dyn Bijection,
    params: &ParamStore,
    x: &Tensor,
    tolerance: f64,
) -> Result<()> {
    let x = Var::from_tensor(&x.detach().copy()?)?;
    let back = bijection.inverse(&bijection.forward(x.as_tensor())?.0)?;
    let expected = random::normal(3, x.shape(), x.dtype(), x.device())?;
    let mut gradients = Gradients::new(params);
    let [found] = gradients.pull_back(&[(&back, &expected)], [&x])?;
    close(&found, &expected, tolerance)?;
    for (name, _, found) in gradients.iter() {
        if let Err(error) = close(found, &found.zeros_like()?, tolerance) {
            bail!("gradient of `{name}` through the inverse: {error}");
        }
    }
    Ok(())
}

/// Independence of batch rows in `f`, which maps `x` `[B, …]` to tensors `[B, …]`.
///
/// # Errors
/// If a row of the results changes a bit when the other rows of x are NaN, infinite or enormous.
pub fn independent_rows(f: impl Fn(&Tensor) -> Result<Vec<Tensor>>, x: &Tensor) -> Result<()> {
    let expected = f(x)?;
    let others: &[f64] = if x.dtype().is_float() {
        &[f64::NAN, f64::INFINITY, -1e30]
    } else {
        &[0.0, 255.0]
    };
    for row in 0..x.dim(0)? {
        let own = x.narrow(0, row, 1)?;
        for &other in others {
            let strange = (own.zeros_like()?.to_dtype(DType::F64)? + other)?;
            let mut rows = vec![strange.to_dtype(x.dtype())?; x.dim(0)?];
            rows[row] = own.clone();
            same_bits(&f(&Tensor::cat(&rows, 0)?)?, row, &expected, row)
                .map_err(|error| error.context(format!("beside rows of {other}")))?;
        }
    }
    Ok(())
}

/// Batch invariance of `f`, with the signature of [`independent_rows`].
///
/// # Errors
/// If a row of the results changes a bit when the row of x is a batch of its own.
pub fn batch_invariance(f: impl Fn(&Tensor) -> Result<Vec<Tensor>>, x: &Tensor) -> Result<()> {
    let expected = f(x)?;
    (0..x.dim(0)?).try_for_each(|row| same_bits(&f(&x.narrow(0, row, 1)?)?, 0, &expected, row))
}

fn same_bits(
    results: &[Tensor],
    place: usize,
    expected: &[Tensor],
    expected_place: usize,
) -> Result<()> {
    let bits = |tensor: &Tensor, row: usize| -> Result<Vec<u64>> {
        let numbers = transfer::numbers(&tensor.get(row)?)?;
        Ok(numbers.into_iter().map(f64::to_bits).collect())
    };
    for (index, (result, expected)) in results.iter().zip(expected).enumerate() {
        if bits(result, place)? != bits(expected, expected_place)? {
            bail!("row {expected_place} of result {index} has other bits");
        }
    }
    Ok(())
}
