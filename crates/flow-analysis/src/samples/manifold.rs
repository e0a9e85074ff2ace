//! Precision and recall of samples (Kynkäänniemi et al. 2019, arXiv:1904.06991).
//!
//! A set of points stands for the region within reach of them: a ball around each, out to its k-th
//! nearest neighbor. Precision is the share of samples in the region of the data, recall the share
//! of data in the region of the samples.

use ndarray::{Array2, ArrayView1};
use rayon::prelude::*;

use crate::{Error, Result};

/// A set of points and the balls around them.
pub(super) struct Manifold {
    pub(super) points: Array2<f64>,
    squared_radii: Vec<f64>,
}

impl Manifold {
    /// The region of `points`, `[N, D]`, whose balls reach to the neighbor of this rank, from 1.
    pub(super) fn new(points: Array2<f64>, neighbors: usize) -> Result<Self> {
        let count = points.nrows();
        if !(1..count).contains(&neighbors) {
            return Err(Error::Input(format!(
                "each of {count} points has {} neighbors, not {neighbors}",
                count.saturating_sub(1)
            )));
        }
        let squared_radius = |i: usize| {
            let others = (0..count).filter(|&j| j != i);
            let mut distances: Vec<_> = others
                .map(|j| squared_distance(points.row(i), points.row(j)))
                .collect();
            *distances
                .select_nth_unstable_by(neighbors - 1, f64::total_cmp)
                .1
        };
        let squared_radii = (0..count).into_par_iter().map(squared_radius).collect();
        Ok(Self {
            points,
            squared_radii,
        })
    }

    /// The share of `others`, `[M, D]`, that lie in at least one ball.
    pub(super) fn share_inside(&self, others: &Array2<f64>) -> f64 {
        let is_inside = |&i: &usize| {
            let other = others.row(i);
            let mut balls = self.points.rows().into_iter().zip(&self.squared_radii);
            balls.any(|(center, &radius)| squared_distance(center, other) <= radius)
        };
        let inside = (0..others.nrows()).into_par_iter().filter(is_inside);
        inside.count() as f64 / others.nrows() as f64
    }
}

fn squared_distance(a: ArrayView1<f64>, b: ArrayView1<f64>) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}
