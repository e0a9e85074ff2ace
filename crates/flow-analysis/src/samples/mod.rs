//! Measures of samples beside their likelihood.
//!
//! Samples and data are points in a space of features, such as those of a classifier, in which
//! distances follow what images look like. [`compare`] takes both for normal distributions (Fréchet
//! distance), and looks for points without a neighbor of the other kind (precision and recall). All
//! three depend on the number of points, so compare sets of the same size.

mod frechet;
mod manifold;
#[cfg(test)]
mod tests;

use candle_core::{DType, Tensor};
use ndarray::Array2;

use crate::{Error, Result};
use frechet::Gaussian;
use manifold::Manifold;

/// A set of points in a space of features.
pub struct Features {
    gaussian: Gaussian,
    manifold: Manifold,
}

impl Features {
    /// The set of `points`, `[N, D]`, each of which reaches to its neighbor of rank `neighbors`,
    /// from 1.
    ///
    /// # Errors
    ///
    /// There are fewer than 2 points, they are not finite, or have fewer neighbors than that.
    pub fn new(points: &Tensor, neighbors: usize) -> Result<Self> {
        let shape = points.dims2()?;
        let points = points.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
        let points = Array2::from_shape_vec(shape, points)
            .map_err(|error| Error::Input(error.to_string()))?;
        Ok(Self {
            gaussian: Gaussian::of(&points)?,
            manifold: Manifold::new(points, neighbors)?,
        })
    }
}

/// A comparison of samples with data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// The Fréchet distance, in squared units of the features; 0 for equal distributions.
    pub frechet_distance: f64,
    /// The share of samples within reach of the data.
    pub precision: f64,
    /// The share of data within reach of the samples.
    pub recall: f64,
}

/// Compares samples with data of as many features.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use flow_analysis::samples::{Features, compare};
///
/// let points = |shift| {
///     let points = (0..8u8).map(|i| f32::from(i) + shift).collect::<Vec<_>>();
///     Features::new(&Tensor::from_vec(points, (8, 1), &Device::Cpu)?, 3)
/// };
/// let quality = compare(&points(2.0)?, &points(0.0)?)?;
/// assert!((quality.frechet_distance - 4.0).abs() < 1e-9);
/// assert_eq!((quality.precision, quality.recall), (1.0, 1.0));
/// # Ok::<_, flow_analysis::Error>(())
/// ```
///
/// # Errors
///
/// The distance cannot be computed.
pub fn compare(samples: &Features, data: &Features) -> Result<Quality> {
    Ok(Quality {
        frechet_distance: frechet::distance(&samples.gaussian, &data.gaussian)?,
        precision: data.manifold.share_inside(&samples.manifold.points),
        recall: samples.manifold.share_inside(&data.manifold.points),
    })
}
