//! The Fréchet distance of two sets of points, each taken for a normal distribution
//! (Heusel et al. 2017, arXiv:1706.08500): ‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2·(Σ₁Σ₂)^½).

use linfa_linalg::{eigh::Eigh, svd::SVD};
use ndarray::{Array1, Array2, Axis};

use crate::{Error, Result};

/// A normal distribution, by its mean and the symmetric root of its covariance.
pub(super) struct Gaussian {
    mean: Array1<f64>,
    root: Array2<f64>,
    total_variance: f64,
}

impl Gaussian {
    /// Mean `[D]` and covariance `[D, D]`, which is symmetric.
    pub(super) fn new(mean: Array1<f64>, covariance: &Array2<f64>) -> Result<Self> {
        // The decomposition would never come to an end.
        if !mean.iter().chain(covariance).all(|value| value.is_finite()) {
            return Err(Error::Input("features are not finite".to_owned()));
        }
        let (variances, directions) = covariance.eigh().map_err(|error| {
            Error::Input(format!(
                "cannot decompose a covariance of features: {error}"
            ))
        })?;
        // Variances of zero come out as rounding, of either sign.
        let deviations = variances.mapv(|variance| variance.max(0.0).sqrt());
        Ok(Self {
            mean,
            root: (&directions * &deviations).dot(&directions.t()),
            total_variance: covariance.diag().sum(),
        })
    }

    /// That of `points`, `[N, D]`, with the unbiased covariance.
    pub(super) fn of(points: &Array2<f64>) -> Result<Self> {
        let count = points.nrows();
        let mean = points.mean_axis(Axis(0)).filter(|_| count > 1);
        let mean =
            mean.ok_or_else(|| Error::Input(format!("a covariance takes 2 points, not {count}")))?;
        let centered = points - &mean;
        let covariance = centered.t().dot(&centered) / (count - 1) as f64;
        Self::new(mean, &covariance)
    }
}

/// The distance, in squared units of the points; both have as many dimensions.
///
/// The trace of (Σ₁Σ₂)^½ is the sum of the singular values of Σ₁^½·Σ₂^½: no root is taken of a
/// product that is singular but for rounding.
pub(super) fn distance(a: &Gaussian, b: &Gaussian) -> Result<f64> {
    let shift = &a.mean - &b.mean;
    let (_, shared, _) = a.root.dot(&b.root).svd(false, false).map_err(|error| {
        Error::Input(format!(
            "cannot decompose a product of covariances: {error}"
        ))
    })?;
    Ok(shift.dot(&shift) + a.total_variance + b.total_variance - 2.0 * shared.sum())
}
