//! Clusters of vectors, found without labels and judged by them.
//!
//! [`Components`] are the principal components of vectors, in which [`Components::clusters`] finds
//! groups; [`Agreement`] compares groups with labels.

mod agreement;
mod principal;

use candle_core::{DType, Tensor};
use flow_core::transfer;
use flow_glow::finite;
use linfa::{
    DatasetBase,
    traits::{Fit, Predict},
};
use linfa_clustering::{GaussianMixtureModel, KMeans};
use ndarray::{Array1, Array2, Axis};
use rand_xoshiro::{Xoshiro256Plus, rand_core::SeedableRng};
use std::slice;

use crate::{Error, Result};

pub use agreement::Agreement;

/// Beginnings of which the best result counts, and steps from each.
const RUNS: usize = 5;
const MAX_STEPS: u64 = 300;

/// A way to find clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// K-means: each vector belongs to the nearest of K means.
    KMeans,
    /// A mixture of Gaussians: each vector belongs to the likeliest of K Gaussians with a
    /// covariance each.
    Gaussians,
}

/// Vectors by their principal components, the strongest first.
#[derive(Clone, Debug)]
pub struct Components {
    /// `[N, K]`.
    values: Array2<f64>,
    explained: f64,
}

impl Components {
    /// The strongest `most` components of vectors `[N, …]`, or as many as there are.
    ///
    /// # Errors
    /// If there are fewer than three vectors, all are the same, or a number is not finite
    /// ([`Error::NonFiniteLatents`]).
    pub fn of(vectors: &Tensor, most: usize) -> Result<Self> {
        let vectors = transfer::to_host(vectors)?.to_dtype(DType::F64)?;
        let vectors = vectors.flatten_from(1)?;
        let (n, dimensions) = vectors.dims2()?;
        if n < 3 {
            let noun = if n == 1 { "image" } else { "images" };
            return Err(Error::Input(format!(
                "{n} {noun} cannot be put into groups: three or more are needed"
            )));
        }
        let bad = finite::bad_rows(slice::from_ref(&vectors))?;
        if bad > 0 {
            return Err(Error::NonFiniteLatents { bad, all: n });
        }
        let vectors = Array2::from_shape_vec((n, dimensions), transfer::numbers(&vectors)?)
            .map_err(Error::of_method("cannot lay out the vectors"))?;
        let mean = vectors.sum_axis(Axis(0)) / n as f64;
        let centered = vectors - mean;
        let variance = centered.var_axis(Axis(0), 1.0).sum();
        if variance <= 0.0 {
            return Err(Error::Input(
                "all images are the same; there are no groups among them".into(),
            ));
        }
        let values = principal::project(&centered, most.min(dimensions).min(n - 1))?;
        let explained = values.var_axis(Axis(0), 1.0).sum() / variance;
        Ok(Self { values, explained })
    }

    /// Their number, K.
    pub fn count(&self) -> usize {
        self.values.ncols()
    }

    /// The share of the variance of the vectors that they hold.
    pub fn explained(&self) -> f64 {
        self.explained
    }

    /// The cluster of each vector, 0 to `clusters` − 1. The same `seed` gives the same clusters.
    ///
    /// # Errors
    /// If there are more clusters than vectors, or the method finds none ([`Error::Method`]).
    pub fn clusters(&self, method: Method, clusters: usize, seed: u64) -> Result<Vec<usize>> {
        let n = self.values.nrows();
        if clusters > n {
            return Err(Error::Input(format!(
                "{clusters} clusters are more than the {n} images"
            )));
        }
        let generator = Xoshiro256Plus::seed_from_u64(seed);
        let dataset = DatasetBase::from(self.values.clone());
        let found: Array1<usize> = match method {
            Method::KMeans => KMeans::params_with_rng(clusters, generator)
                .n_runs(RUNS)
                .max_n_iterations(MAX_STEPS)
                .fit(&dataset)
                .map_err(Error::of_method("k-means found no clusters"))?
                .predict(&self.values),
            Method::Gaussians => GaussianMixtureModel::params_with_rng(clusters, generator)
                .n_runs(1)
                .max_n_iterations(MAX_STEPS)
                .tolerance(1e-3)
                .fit(&dataset)
                .map_err(Error::of_method(
                    "the mixture of Gaussians found no clusters",
                ))?
                .predict(&self.values),
        };
        Ok(found.to_vec())
    }

    /// The first two components of each vector.
    pub fn plane(&self) -> Vec<(f64, f64)> {
        let rows = self.values.rows().into_iter();
        rows.map(|row| (row[0], row.get(1).copied().unwrap_or(0.0)))
            .collect()
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // Clouds this far apart are told apart without error.
mod tests {
    use super::*;
    use candle_core::Device;
    use flow_core::random;

    /// Three clouds in 12 dimensions, 50 points each, and which cloud a point is of.
    fn clouds() -> (Tensor, Vec<usize>) {
        let noise = random::normal(1, (150, 3, 2, 2), DType::F64, &Device::Cpu).unwrap();
        let centers = random::normal(2, (3, 3, 2, 2), DType::F64, &Device::Cpu).unwrap();
        let cloud = (0..150).map(|i| i % 3).collect::<Vec<_>>();
        let order = Tensor::from_iter(cloud.iter().map(|&i| i as u32), &Device::Cpu).unwrap();
        let centers = (centers * 8.0).unwrap().index_select(&order, 0).unwrap();
        ((noise + centers).unwrap(), cloud)
    }

    #[test]
    fn clouds_are_told_apart() {
        let (points, cloud) = clouds();
        let components = Components::of(&points, 4).unwrap();
        assert_eq!(components.values.dim(), (150, 4));
        assert!((0.85..1.0).contains(&components.explained));
        for method in [Method::KMeans, Method::Gaussians] {
            let found = components.clusters(method, 3, 0).unwrap();
            let Agreement { purity, nmi } = Agreement::of(&found, &cloud);
            assert!((purity, nmi) == (1.0, 1.0), "{method:?}: {purity} {nmi}");
            assert_eq!(found, components.clusters(method, 3, 0).unwrap());
        }
        assert!(components.clusters(Method::KMeans, 151, 0).is_err());
    }

    #[test]
    fn points_that_are_the_same_are_no_groups() {
        let points = |distinct: usize| {
            let values = (0..60 * 8).map(|i| (i / 8 % distinct * 100) as f64);
            Tensor::from_iter(values, &Device::Cpu)
                .unwrap()
                .reshape((60, 8))
                .unwrap()
        };
        assert!(Components::of(&points(1), 4).is_err());
        for distinct in [2, 3] {
            let components = Components::of(&points(distinct), 4).unwrap();
            assert!((components.explained - 1.0).abs() < 1e-12);
            for method in [Method::KMeans, Method::Gaussians] {
                // More clusters than there are points: a result or an error, no panic.
                let _ = components.clusters(method, 5, 0);
                let Ok(found) = components.clusters(method, distinct, 0) else {
                    continue;
                };
                assert_eq!(found.len(), 60);
                assert!(found.iter().all(|&cluster| cluster < distinct));
            }
        }
    }

    #[test]
    fn components_hold_the_variance_that_they_say() {
        let (points, _) = clouds();
        let all = Components::of(&points, 256).unwrap();
        assert_eq!(all.values.ncols(), 12);
        assert!((all.explained - 1.0).abs() < 1e-6, "{}", all.explained);
        // As many distances as before, since nothing but a rotation was done.
        let flat = points.flatten_from(1).unwrap().to_vec2::<f64>().unwrap();
        let distance = |a: &[f64], b: &[f64]| {
            let terms = a.iter().zip(b).map(|(a, b)| (a - b).powi(2));
            terms.sum::<f64>()
        };
        let row = |i: usize| all.values.row(i).to_vec();
        for (i, j) in [(0, 1), (3, 77), (12, 149)] {
            let (before, after) = (distance(&flat[i], &flat[j]), distance(&row(i), &row(j)));
            assert!((before / after - 1.0).abs() < 1e-6, "{before} {after}");
        }
        let one = points.narrow(0, 0, 1).unwrap();
        assert!(Components::of(&one, 2).is_err());
        let infinite = (points / 0.0).unwrap();
        assert!(Components::of(&infinite, 2).is_err());
    }
}
