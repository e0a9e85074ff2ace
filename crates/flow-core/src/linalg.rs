//! Small dense linear algebra on the host, in f64, which candle lacks.
//!
//! Matrices are vectors of rows. Sizes are numbers of channels, so plain O(n³) loops suffice.

use crate::Result;
use candle_core::bail;

type Matrix = Vec<Vec<f64>>;

/// P·A = L·U with partial pivoting: L (unit diagonal, not stored) and U share one matrix.
struct Lu {
    factors: Matrix,
    permutation: Vec<usize>,
}

fn factorize(matrix: &Matrix) -> Result<Lu> {
    let n = matrix.len();
    if let Some(row) = matrix.iter().find(|row| row.len() != n) {
        bail!(
            "linear algebra: a matrix of {n} rows has a row of {} numbers",
            row.len()
        );
    }
    let mut factors = matrix.clone();
    let mut permutation: Vec<usize> = (0..n).collect();
    for k in 0..n {
        let pivot = (k..n)
            .max_by(|&i, &j| factors[i][k].abs().total_cmp(&factors[j][k].abs()))
            .expect("k < n");
        factors.swap(k, pivot);
        permutation.swap(k, pivot);
        let (upper, lower) = factors.split_at_mut(k + 1);
        let pivot_row = &upper[k];
        for row in lower {
            let ratio = if row[k] == 0.0 {
                0.0
            } else {
                row[k] / pivot_row[k]
            };
            row[k] = ratio;
            for (value, above) in row[k + 1..].iter_mut().zip(&pivot_row[k + 1..]) {
                *value -= ratio * above;
            }
        }
    }
    Ok(Lu {
        factors,
        permutation,
    })
}

/// ln|det A| of a square matrix; −∞ if it is singular.
pub fn log_abs_det(matrix: &Matrix) -> Result<f64> {
    let lu = factorize(matrix)?;
    Ok(lu
        .factors
        .iter()
        .enumerate()
        .map(|(k, row)| row[k].abs().ln())
        .sum())
}

/// A⁻¹ of a square matrix.
///
/// # Errors
/// If the matrix is singular or not finite.
pub(crate) fn inverse(matrix: &Matrix) -> Result<Matrix> {
    let n = matrix.len();
    let lu = factorize(matrix)?;
    let mut inverse = vec![vec![0.0; n]; n];
    for column in 0..n {
        // L·U·x = P·e, solved forwards and then backwards.
        let mut x: Vec<f64> = lu
            .permutation
            .iter()
            .map(|&i| f64::from(u8::from(i == column)))
            .collect();
        for i in 0..n {
            x[i] -= (0..i).map(|k| lu.factors[i][k] * x[k]).sum::<f64>();
        }
        for i in (0..n).rev() {
            let rest: f64 = (i + 1..n).map(|k| lu.factors[i][k] * x[k]).sum();
            x[i] = (x[i] - rest) / lu.factors[i][i];
        }
        for (row, value) in inverse.iter_mut().zip(x) {
            row[column] = value;
        }
    }
    if inverse.iter().flatten().any(|value| !value.is_finite()) {
        bail!("linear algebra: a {n}×{n} matrix is singular and has no inverse");
    }
    Ok(inverse)
}

/// The singular values of a matrix, largest first, by one-sided Jacobi rotations. Pairs of rows are
/// rotated until all are orthogonal; their lengths are the singular values (Golub & Van Loan,
/// Matrix Computations, section 8.6.3).
fn singular_values(matrix: &Matrix) -> Vec<f64> {
    /// Convergence is quadratic and takes about six sweeps; NaN and infinity never converge.
    const MAX_SWEEPS: usize = 40;
    let mut rows = matrix.clone();
    for _ in 0..MAX_SWEEPS {
        let mut orthogonal = true;
        for j in 1..rows.len() {
            let (above, below) = rows.split_at_mut(j);
            for row in above {
                orthogonal &= are_orthogonal_or_rotate(row, &mut below[0]);
            }
        }
        if orthogonal {
            break;
        }
    }
    let mut lengths: Vec<f64> = rows.iter().map(|row| dot(row, row).sqrt()).collect();
    lengths.sort_by(|a, b| b.total_cmp(a));
    lengths
}

/// The condition number of a matrix: its largest singular value over its smallest, the factor by
/// which solving can enlarge relative errors.
pub fn condition(matrix: &Matrix) -> f64 {
    let lengths = singular_values(matrix);
    lengths[0] / lengths[lengths.len() - 1]
}

/// True if two rows are orthogonal to rounding; otherwise rotates them in their plane.
fn are_orthogonal_or_rotate(a: &mut [f64], b: &mut [f64]) -> bool {
    let (aa, bb, ab) = (dot(a, a), dot(b, b), dot(a, b));
    if ab.abs() <= f64::EPSILON * (aa * bb).sqrt() {
        return true;
    }
    let zeta = (bb - aa) / (2.0 * ab);
    let tangent = zeta.signum() / (zeta.abs() + zeta.hypot(1.0));
    let cosine = tangent.hypot(1.0).recip();
    let sine = cosine * tangent;
    for (a, b) in a.iter_mut().zip(b) {
        (*a, *b) = (cosine * *a - sine * *b, sine * *a + cosine * *b);
    }
    false
}

/// Orthonormalises the rows by Gram–Schmidt, and makes the determinant +1.
///
/// # Errors
/// If the rows are linearly dependent.
pub(crate) fn orthonormal_rows(mut matrix: Matrix) -> Result<Matrix> {
    let n = matrix.len();
    for i in 0..n {
        let (done, rest) = matrix.split_at_mut(i);
        let row = &mut rest[0];
        // Twice is enough to be orthogonal to rounding.
        for _ in 0..2 {
            for other in &*done {
                let overlap = dot(row, other);
                row.iter_mut()
                    .zip(other)
                    .for_each(|(value, other)| *value -= overlap * other);
            }
        }
        let norm = dot(row, row).sqrt();
        if norm.is_nan() || norm < 1e-8 {
            bail!("linear algebra: {n} rows are linearly dependent");
        }
        for value in row {
            *value /= norm;
        }
    }
    if n > 0 && determinant_sign(&matrix)? < 0.0 {
        matrix[0].iter_mut().for_each(|value| *value = -*value);
    }
    Ok(matrix)
}

fn determinant_sign(matrix: &Matrix) -> Result<f64> {
    let lu = factorize(matrix)?;
    let inversions = (0..matrix.len())
        .flat_map(|i| (0..i).map(move |j| (i, j)))
        .filter(|&(i, j)| lu.permutation[j] > lu.permutation[i])
        .count();
    let parity = if inversions % 2 == 0 { 1.0 } else { -1.0 };
    Ok(lu
        .factors
        .iter()
        .enumerate()
        .map(|(k, row)| row[k].signum())
        .product::<f64>()
        * parity)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;
    use candle_core::{DType, Device};
    use proptest::prelude::*;

    fn random_matrix(n: usize, seed: u64) -> Matrix {
        random::normal(seed, (n, n), DType::F64, &Device::Cpu)
            .unwrap()
            .to_vec2()
            .unwrap()
    }

    fn product(a: &Matrix, b: &Matrix) -> Matrix {
        let column = |j: usize| b.iter().map(|row| row[j]).collect::<Vec<_>>();
        a.iter()
            .map(|row| (0..b.len()).map(|j| dot(row, &column(j))).collect())
            .collect()
    }

    fn distance_to_identity(matrix: &Matrix) -> f64 {
        let error = |i: usize, j: usize| (matrix[i][j] - f64::from(u8::from(i == j))).abs();
        let n = matrix.len();
        (0..n)
            .flat_map(|i| (0..n).map(move |j| (i, j)))
            .map(|(i, j)| error(i, j))
            .fold(0.0, f64::max)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

        #[test]
        fn inverse_times_matrix_is_the_identity(n in 1_usize..24, seed: u64) {
            let matrix = random_matrix(n, seed);
            let inverse = inverse(&matrix).unwrap();
            let size = inverse.iter().flatten().fold(1.0_f64, |max, value| max.max(value.abs()));
            prop_assert!(distance_to_identity(&product(&inverse, &matrix)) < 1e-11 * size * n as f64);
        }

        #[test]
        fn determinant_of_a_product_is_the_product(n in 1_usize..12, seed: u64) {
            let (a, b) = (random_matrix(n, seed), random_matrix(n, !seed));
            let sum = log_abs_det(&a).unwrap() + log_abs_det(&b).unwrap();
            prop_assert!((log_abs_det(&product(&a, &b)).unwrap() - sum).abs() < 1e-7);
        }

        #[test]
        fn singular_values_are_those_the_matrix_was_made_of(n in 1_usize..24, spread in 0.0..12.0_f64, seed: u64) {
            let rotation = |seed| random::rotation(seed, n).unwrap().to_vec2().unwrap();
            let value = |i: usize| (-spread * i as f64 / n as f64).exp();
            let scaled: Matrix = rotation(seed)
                .into_iter()
                .enumerate()
                .map(|(i, row): (usize, Vec<f64>)| row.iter().map(|entry| entry * value(i)).collect())
                .collect();
            for (i, found) in singular_values(&product(&rotation(!seed), &scaled)).into_iter().enumerate() {
                prop_assert!((found - value(i)).abs() < 1e-14 * n as f64, "{found} is not {}", value(i));
            }
        }

        #[test]
        fn a_rotation_is_orthogonal_and_keeps_orientation(n in 1_usize..24, seed: u64) {
            let rotation = random::rotation(seed, n).unwrap().to_vec2().unwrap();
            let transposed = (0..n).map(|j| rotation.iter().map(|row| row[j]).collect()).collect();
            prop_assert!(distance_to_identity(&product(&rotation, &transposed)) < 1e-13);
            prop_assert!(determinant_sign(&rotation).unwrap() > 0.0);
        }
    }

    #[test]
    fn a_singular_matrix_is_refused() {
        let singular = vec![vec![1.0, 2.0], vec![2.0, 4.0]];
        assert!(
            inverse(&singular)
                .unwrap_err()
                .to_string()
                .contains("singular")
        );
        assert!(log_abs_det(&singular).unwrap() < -1e300);
        let values = singular_values(&singular);
        assert!((values[0] - 5.0).abs() < 1e-14 && values[1] < 1e-15);
        assert!(singular_values(&vec![vec![1.0, f64::NAN], vec![1.0, 0.0]])[0].is_nan());
    }
}
