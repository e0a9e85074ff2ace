//! Precision in tails, at far points and at extreme parameters, in f32 and f64.

mod mixture;
mod pointwise;
mod scale_maps;
mod splines;

use candle_core::{DType, Device, Tensor, Var};

/// A column `[N, 1]`.
fn column(values: &[f64], dtype: DType) -> Tensor {
    let column = Tensor::from_slice(values, (values.len(), 1), &Device::Cpu);
    column.unwrap().to_dtype(dtype).unwrap()
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    let flat = tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap();
    flat.to_vec1().unwrap()
}

/// The gradient of the sum of `f`.
fn gradient(x: &Tensor, f: impl Fn(&Tensor) -> Tensor) -> Vec<f64> {
    let x = Var::from_tensor(x).unwrap();
    let grads = f(x.as_tensor()).sum_all().unwrap().backward().unwrap();
    numbers(grads.get(&x).unwrap())
}

/// The machine epsilon, and twice the smallest normal number.
fn limits(dtype: DType) -> (f64, f64) {
    if dtype == DType::F64 {
        (f64::EPSILON, 2.0 * f64::MIN_POSITIVE)
    } else {
        (f32::EPSILON.into(), 2.0 * f64::from(f32::MIN_POSITIVE))
    }
}

/// Numbers that every float type represents: small ones, and all quarters from −100 to 100.
fn places() -> Vec<f64> {
    let small = [-100, -66, -30, -20, -10, -5].map(|power| 2_f64.powi(power));
    let quarters = (-400..=400).map(|quarter| f64::from(quarter) / 4.0);
    let small = small.into_iter().flat_map(|size| [-size, size]);
    small.chain(quarters).collect()
}

/// Checks every number against the exact one, within a number of relative roundings.
fn near(name: &str, actual: &[f64], exact: &[f64], at: &[f64], dtype: DType, roundings: f64) {
    let (epsilon, smallest) = limits(dtype);
    assert_eq!(actual.len(), exact.len());
    for ((actual, exact), at) in actual.iter().zip(exact).zip(at) {
        let bound = roundings * epsilon * exact.abs() + smallest;
        let difference = (actual - exact).abs();
        assert!(
            actual == exact || difference <= bound,
            "{name} in {dtype:?} at {at:e}: {actual:e} is not {exact:e}"
        );
    }
}
