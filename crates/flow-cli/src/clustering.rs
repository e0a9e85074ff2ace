//! Groups of vectors, found without labels and judged by them.

mod agreement;
mod scatter;

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Tensor};
use linfa::{
    DatasetBase,
    traits::{Fit, Predict},
};
use linfa_clustering::{GaussianMixtureModel, KMeans};
use linfa_reduction::Pca;
use ndarray::{Array1, Array2};
use rand_xoshiro::{Xoshiro256Plus, rand_core::SeedableRng};

use crate::cli::Method;

pub(crate) use agreement::Agreement;
pub(crate) use scatter::png;

/// Beginnings of which the best result counts, and steps from each.
const RUNS: usize = 5;
const MAX_STEPS: u64 = 300;

/// Vectors by their principal components, the strongest first.
pub(crate) struct Components {
    /// `[N, K]`.
    pub(crate) values: Array2<f64>,
    /// The share of the variance that they hold.
    pub(crate) explained: f64,
}

impl Components {
    /// The strongest `most` components of vectors `[N, …]`, or as many as there are.
    pub(crate) fn of(vectors: &Tensor, most: usize) -> Result<Self> {
        let vectors = vectors.flatten_from(1)?.to_dtype(DType::F64)?;
        let (n, dimensions) = vectors.dims2()?;
        ensure!(n >= 3, "{n} images are too few to find groups among them");
        ensure!(
            vectors.abs()?.max_all()?.to_scalar::<f64>()?.is_finite(),
            "some latents are not finite; `flow verify` says why"
        );
        let vectors = Array2::from_shape_vec((n, dimensions), vectors.flatten_all()?.to_vec1()?)?;
        let variance = vectors.var_axis(ndarray::Axis(0), 1.0).sum();
        let dataset = DatasetBase::from(vectors);
        let pca = Pca::params(most.min(dimensions).min(n - 1)).fit(&dataset)?;
        let explained = pca.explained_variance().sum() / variance;
        let values = pca.predict(dataset.records());
        Ok(Self { values, explained })
    }

    /// The cluster of each vector, 0 to `clusters` − 1.
    pub(crate) fn clusters(
        &self,
        method: Method,
        clusters: usize,
        seed: u64,
    ) -> Result<Vec<usize>> {
        let n = self.values.nrows();
        ensure!(
            clusters <= n,
            "{clusters} clusters are more than the {n} images; choose fewer by `--clusters`"
        );
        let generator = Xoshiro256Plus::seed_from_u64(seed);
        let dataset = DatasetBase::from(self.values.clone());
        let found: Array1<usize> = match method {
            Method::KMeans => KMeans::params_with_rng(clusters, generator)
                .n_runs(RUNS)
                .max_n_iterations(MAX_STEPS)
                .fit(&dataset)
                .context("k-means found no clusters")?
                .predict(&self.values),
            Method::Gaussians => GaussianMixtureModel::params_with_rng(clusters, generator)
                .n_runs(1)
                .max_n_iterations(MAX_STEPS)
                .tolerance(1e-3)
                .fit(&dataset)
                .context(
                    "the mixture of Gaussians found no clusters; fewer `--components` may help",
                )?
                .predict(&self.values),
        };
        Ok(found.to_vec())
    }

    /// The first two components of each vector.
    pub(crate) fn plane(&self) -> Vec<(f64, f64)> {
        let rows = self.values.rows().into_iter();
        rows.map(|row| (row[0], row.get(1).copied().unwrap_or(0.0)))
            .collect()
    }
}
