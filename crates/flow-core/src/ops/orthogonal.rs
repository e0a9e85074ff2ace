//! The orthogonal direction of a matrix, by Newton–Schulz iterations (Jordan et al. 2024, Muon;
//! Bernstein & Newhouse 2024, arXiv:2409.20325, appendix A).

use super::fusible;
use super::matrix::{Beta, Matrix, multiply};
use super::number::Number;
use super::view::{host, numbers};
use candle_core::{DType, Result, Tensor};

/// Each iteration maps a singular value s to a·s + b·s³ + c·s⁵. These coefficients take all from
/// 0.002 on to between 0.7 and 1.2 in five iterations.
const ITERATIONS: usize = 5;
const COEFFICIENTS: [f64; 3] = [3.4445, -4.7750, 2.0315];

/// Added to the norm, as in Jordan's code: a matrix far below it becomes a small one. So a layer
/// without gradients comes to rest as its momentum decays, long before the norm underflows.
const EPSILON: f64 = 1e-7;

/// U·Vᵀ for the matrix U·S·Vᵀ that `x` `[rows, columns…]` is, with singular values from 0.7 to 1.2,
/// in the shape of `x`. Singular values of less than 0.002 of its norm, or of about [`EPSILON`],
/// stay smaller.
pub(crate) fn orthogonal(x: &Tensor) -> Result<Tensor> {
    let matrix = x.flatten_from(1)?;
    let (rows, columns) = matrix.dims2()?;
    // The products are least with the shorter side as rows.
    let wide = rows <= columns;
    let matrix = if wide { matrix } else { matrix.t()? };
    let result = match x.dtype() {
        _ if !fusible(x) => composed(&matrix.contiguous()?),
        DType::F64 => on_host::<f64>(&matrix),
        _ => on_host::<f32>(&matrix),
    }?;
    let result = if wide { result } else { result.t()? };
    result.contiguous()?.reshape(x.shape())
}

/// The iterations on slices. Single products are too small for several threads.
fn on_host<T: Number>(x: &Tensor) -> Result<Tensor> {
    let (rows, columns) = x.dims2()?;
    let mut x_now = numbers::<T>(x)?;
    let norm = x_now.iter().map(|&value| value * value).sum::<T>().sqrt();
    let norm = norm + T::of(EPSILON);
    for value in &mut x_now {
        *value /= norm;
    }
    let mut x_next = vec![T::zero(); rows * columns];
    let mut gram = vec![T::zero(); rows * rows];
    let mut factor = gram.clone();
    let [a, b, c] = COEFFICIENTS.map(T::of);
    for _ in 0..ITERATIONS {
        let matrix = Matrix::new(&x_now, rows, columns);
        multiply(&mut gram, matrix, matrix.t(), Beta::Zero);
        // (a·1 + b·G + c·G²)·X
        let square = Matrix::new(&gram, rows, rows);
        multiply(&mut factor, square, square, Beta::Zero);
        for (factor, &gram) in factor.iter_mut().zip(&gram) {
            *factor = b * gram + c * *factor;
        }
        for place in factor.iter_mut().step_by(rows + 1) {
            *place += a;
        }
        let factor = Matrix::new(&factor, rows, rows);
        multiply(&mut x_next, factor, matrix, Beta::Zero);
        std::mem::swap(&mut x_now, &mut x_next);
    }
    host(x_now, x.shape())
}

/// The specification, in plain candle operations, for every other device and type.
fn composed(x: &Tensor) -> Result<Tensor> {
    let [a, b, c] = COEFFICIENTS;
    let norm = (x.sqr()?.sum_all()?.sqrt()? + EPSILON)?;
    let mut x = x.broadcast_div(&norm)?;
    for _ in 0..ITERATIONS {
        let gram = x.matmul(&x.t()?)?;
        let factor = ((&gram * b)? + (gram.matmul(&gram)? * c)?)?;
        x = ((&x * a)? + factor.matmul(&x)?)?;
    }
    Ok(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{check, device, random, transfer};
    use candle_core::Device;

    #[test]
    fn both_forms_agree() {
        for (dtype, tolerance) in [(DType::F32, 1e-5), (DType::F64, 1e-14)] {
            for shape in [[5, 20], [20, 5], [16, 16], [1, 7]] {
                let x = random::normal(0, &shape, dtype, &Device::Cpu).unwrap();
                let fused = orthogonal(&x).unwrap();
                let composed = device::rehearse(|| orthogonal(&x)).unwrap();
                check::close(&fused, &composed, tolerance).unwrap();
            }
        }
    }

    /// A matrix with known singular vectors: products of rotations.
    #[test]
    fn singular_vectors_stay_and_values_come_near_one() {
        let [u, v] = [1, 2].map(|seed| random::rotation(seed, 6).unwrap());
        let values = Tensor::new(&[10.0, 3.0, 1.0, 0.5, 0.1, 0.05], &Device::Cpu).unwrap();
        let x = u.broadcast_mul(&values).unwrap().matmul(&v.t().unwrap());
        // Another shape of the same matrix.
        let x = x.unwrap().reshape((6, 3, 2)).unwrap();
        let found = orthogonal(&x).unwrap();
        assert_eq!(found.dims(), [6, 3, 2]);
        let found = found.reshape((6, 6)).unwrap();
        let inner = u.t().unwrap().matmul(&found).unwrap().matmul(&v).unwrap();
        let numbers = transfer::numbers(&inner).unwrap();
        for (place, number) in numbers.into_iter().enumerate() {
            if place % 7 == 0 {
                assert!((0.65..1.25).contains(&number), "{number}");
            } else {
                assert!(number.abs() < 1e-12, "{number}");
            }
        }
    }

    /// Their squares are zero in f32.
    #[test]
    fn matrices_far_below_epsilon_stay_small() {
        let normal = random::normal(0, (3, 4), DType::F32, &Device::Cpu).unwrap();
        for size in [0.0, 1e-42, 1e-30, 1e-22, 1e-12] {
            let x = (&normal * size).unwrap();
            for found in [orthogonal(&x), device::rehearse(|| orthogonal(&x))] {
                // No iteration makes a singular value more than a = 3.4445 times as large.
                let bound = 500.0 * size / EPSILON * 4.0;
                for number in transfer::numbers(&found.unwrap()).unwrap() {
                    assert!(number.abs() <= bound, "{size}: {number}");
                }
            }
        }
    }
}
