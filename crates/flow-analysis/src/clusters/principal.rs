//! Principal components by subspace iteration (Halko, Martinsson & Tropp 2011, arXiv:0909.4061,
//! algorithm 4.4).
//!
//! A random subspace that is mapped by XᵀX again and again turns towards the directions of most
//! variance; in it, what is left is a small eigenvalue problem.

use crate::{Error, Result};
use candle_core::{DType, Device};
use flow_core::{random, transfer};
use linfa_linalg::{
    eigh::{EigSort, Eigh},
    qr::QR,
};
use ndarray::{Array2, s};

/// Directions beyond those asked for, which let these converge sooner.
const SPARE: usize = 10;

/// Mappings of the subspace: neighbors in variance need not be told apart, only their plane found.
const ITERATIONS: usize = 16;

const FAILED: &str = "cannot find principal components";

/// The `count` strongest components of the rows of `centered`, `[N, count]`, the strongest first.
pub(super) fn project(centered: &Array2<f64>, count: usize) -> Result<Array2<f64>> {
    let (n, dimensions) = centered.dim();
    let width = (count + SPARE).min(n).min(dimensions);
    let start = random::normal(0, (dimensions, width), DType::F64, &Device::Cpu)?;
    let start = Array2::from_shape_vec((dimensions, width), transfer::numbers(&start)?);
    let mut basis = orthonormal(&start.map_err(Error::of_method(FAILED))?)?;
    for _ in 0..ITERATIONS {
        basis = orthonormal(&centered.t().dot(&centered.dot(&basis)))?;
    }
    let inside = centered.dot(&basis);
    let eigen = inside.t().dot(&inside).eigh();
    let (_, turn) = eigen.map_err(Error::of_method(FAILED))?.sort_eig_desc();
    Ok(inside.dot(&turn.slice(s![.., ..count])))
}

fn orthonormal(columns: &Array2<f64>) -> Result<Array2<f64>> {
    let parts = columns.qr().map_err(Error::of_method(FAILED))?;
    Ok(parts.generate_q())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the eigenvalues of the whole matrix.
    #[test]
    fn the_components_are_those_of_most_variance() {
        let noise = random::normal(3, (200, 40), DType::F64, &Device::Cpu).unwrap();
        let noise = noise.flatten_all().unwrap().to_vec1().unwrap();
        let mut points = Array2::from_shape_vec((200, 40), noise).unwrap();
        for (i, mut column) in points.columns_mut().into_iter().enumerate() {
            column *= 0.8_f64.powi(i as i32);
        }
        let values = project(&points, 5).unwrap();
        let (expected, _) = points.t().dot(&points).eigh().unwrap().sort_eig_desc();
        for (column, expected) in values.columns().into_iter().zip(expected) {
            let seen = column.dot(&column);
            assert!((seen / expected - 1.0).abs() < 1e-6, "{seen} {expected}");
        }
        assert!(values.column(0).dot(&values.column(1)).abs() < 1e-8);
    }
}
