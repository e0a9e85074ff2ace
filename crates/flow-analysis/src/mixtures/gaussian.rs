//! A component of a mixture.

use std::{f64::consts::PI, ops::Range};

use linfa_linalg::{
    cholesky::Cholesky,
    triangular::{SolveTriangular, UPLO},
};
use ndarray::{Array1, Array2, ArrayView1, Axis, s};

use crate::{Error, Result};

/// Added to variances, of standardised numbers, so that no component is singular.
const REGULARIZATION: f64 = 1e-6;

/// A Gaussian with a weight.
#[derive(Clone, Debug)]
pub(super) struct Gaussian {
    ln_weight: f64,
    mean: Array1<f64>,
    covariance: Array2<f64>,
    /// L⁻¹ of the covariance LLᵀ, transposed.
    whitening: Array2<f64>,
}

impl Gaussian {
    /// The Gaussian of `rows`, of which each counts as much as its responsibility.
    ///
    /// # Errors
    /// If the covariance is singular.
    pub(super) fn of(rows: &Array2<f64>, responsibilities: ArrayView1<f64>) -> Result<Self> {
        let count = responsibilities.sum() + 10.0 * f64::EPSILON;
        let mean = responsibilities.dot(rows) / count;
        let centered = rows - &mean;
        let weighted = &centered * &responsibilities.insert_axis(Axis(1));
        let mut covariance = weighted.t().dot(&centered) / count;
        covariance.diag_mut().mapv_inplace(|x| x + REGULARIZATION);
        let ln_weight = (count / rows.nrows() as f64).ln();
        Self::new(ln_weight, mean, covariance)
    }

    fn new(ln_weight: f64, mean: Array1<f64>, covariance: Array2<f64>) -> Result<Self> {
        let singular = "a component of a mixture of Gaussians is singular";
        let factor = covariance.cholesky().map_err(Error::of_method(singular))?;
        let identity = Array2::eye(mean.len());
        let inverse = factor.solve_triangular(&identity, UPLO::Lower);
        let inverse = inverse.map_err(Error::of_method(singular))?;
        Ok(Self {
            ln_weight,
            mean,
            covariance,
            whitening: inverse.reversed_axes(),
        })
    }

    /// ln wₖ N(x; μₖ, Σₖ) of each row.
    pub(super) fn log_prob(&self, rows: &Array2<f64>) -> Array1<f64> {
        let white = (rows - &self.mean).dot(&self.whitening);
        let ln_det = self.whitening.diag().mapv(f64::ln).sum();
        let constant = self.ln_weight + ln_det - 0.5 * (2.0 * PI).ln() * self.mean.len() as f64;
        let squares = white.rows().into_iter().map(|row| row.dot(&row));
        squares.map(|square| constant - 0.5 * square).collect()
    }

    /// The Gaussian of some of the columns alone.
    pub(super) fn marginal(&self, columns: Range<usize>) -> Result<Self> {
        let mean = self.mean.slice(s![columns.clone()]).to_owned();
        let covariance = self
            .covariance
            .slice(s![columns.clone(), columns])
            .to_owned();
        Self::new(self.ln_weight, mean, covariance)
    }
}
