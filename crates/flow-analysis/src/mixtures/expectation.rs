//! Expectation maximisation (Dempster, Laird & Rubin 1977, JRSS B 39).
//!
//! ```text
//! E   rₙₖ = wₖ N(xₙ; μₖ, Σₖ) / Σⱼ wⱼ N(xₙ; μⱼ, Σⱼ)
//! M   wₖ, μₖ, Σₖ = share, mean and covariance of the rows, weighted by rₙₖ
//! ```

use linfa::{
    DatasetBase,
    traits::{Fit, Predict},
};
use linfa_clustering::KMeans;
use ndarray::{Array1, Array2, Axis};
use rand_xoshiro::{Xoshiro256Plus, rand_core::SeedableRng};
use rayon::prelude::*;

use crate::{Error, Result};

use super::gaussian::Gaussian;

/// Settings of scikit-learn's `GaussianMixture`: the change of the mean ln p that ends it, and the
/// number of steps at most.
const TOLERANCE: f64 = 1e-3;
const MAX_STEPS: usize = 100;

/// Beginnings of k-means, of which the best counts, and steps of each.
const RUNS: usize = 1;
const MAX_CLUSTER_STEPS: u64 = 300;

/// The components that fit standardised rows.
pub(super) fn maximize(rows: &Array2<f64>, count: usize, seed: u64) -> Result<Vec<Gaussian>> {
    let mut components = update(rows, &clusters(rows, count, seed)?)?;
    let mut before = f64::NEG_INFINITY;
    // The rows have one Gaussian.
    let steps = if count == 1 { 0 } else { MAX_STEPS };
    for _ in 0..steps {
        let (log_prob, responsibilities) = expect(&components, rows);
        components = update(rows, &responsibilities)?;
        let mean = log_prob.mean().unwrap_or(f64::NAN);
        if (mean - before).abs() < TOLERANCE {
            break;
        }
        before = mean;
    }
    Ok(components)
}

/// ln p of each row.
pub(super) fn log_prob(components: &[Gaussian], rows: &Array2<f64>) -> Array1<f64> {
    expect(components, rows).0
}

/// Responsibilities `[N, K]` of 0 and 1, by the clusters of k-means.
fn clusters(rows: &Array2<f64>, count: usize, seed: u64) -> Result<Array2<f64>> {
    let mut responsibilities = Array2::zeros((rows.nrows(), count));
    if count == 1 {
        responsibilities.fill(1.0);
        return Ok(responsibilities);
    }
    let generator = Xoshiro256Plus::seed_from_u64(seed);
    let found = KMeans::params_with_rng(count, generator)
        .n_runs(RUNS)
        .max_n_iterations(MAX_CLUSTER_STEPS)
        .fit(&DatasetBase::from(rows.view()))
        .map_err(Error::of_method("k-means found no clusters"))?;
    for (row, &cluster) in found.predict(rows).iter().enumerate() {
        responsibilities[[row, cluster]] = 1.0;
    }
    Ok(responsibilities)
}

/// ln p of each row, and responsibilities `[N, K]`.
fn expect(components: &[Gaussian], rows: &Array2<f64>) -> (Array1<f64>, Array2<f64>) {
    let parts = components
        .par_iter()
        .map(|gaussian| gaussian.log_prob(rows));
    let parts = parts.collect::<Vec<_>>();
    let mut joint = Array2::zeros((rows.nrows(), components.len()));
    for (mut column, part) in joint.columns_mut().into_iter().zip(&parts) {
        column.assign(part);
    }
    let log_prob = joint.map_axis(Axis(1), |row| {
        let most = row.fold(f64::NEG_INFINITY, |most, &x| most.max(x));
        most + row.mapv(|x| (x - most).exp()).sum().ln()
    });
    joint -= &log_prob.view().insert_axis(Axis(1));
    joint.mapv_inplace(f64::exp);
    (log_prob, joint)
}

/// The components that responsibilities lead to.
fn update(rows: &Array2<f64>, responsibilities: &Array2<f64>) -> Result<Vec<Gaussian>> {
    let components = (0..responsibilities.ncols()).into_par_iter();
    let component = |k| Gaussian::of(rows, responsibilities.column(k));
    components.map(component).collect()
}
