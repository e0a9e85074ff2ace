//! Mixtures of Gaussians, the densities that a flow of vectors should exceed.
//!
//! [`GaussianMixture`] is fitted to rows of numbers; of one component it is their Gaussian.
//! [`baselines`] measures both on held-out rows.

mod expectation;
mod gaussian;

use std::ops::Range;

use candle_core::{D, Tensor};
use flow_core::{constant_columns, train::Data, transfer};
use ndarray::{Array1, Array2, Axis};

use crate::{Error, Result};

use gaussian::Gaussian;

/// Rows to fit to at most: more hardly change so few parameters.
const MOST_ROWS: usize = 50_000;

/// Numbers of components that are tried until more no longer help.
const COMPONENTS: [usize; 6] = [2, 4, 8, 16, 32, 64];

/// Rows for each component at least.
const LEAST_ROWS: usize = 10;

/// A mixture of Gaussians with full covariances.
///
/// ```text
/// p(x) = Σₖ wₖ N(x; μₖ, Σₖ)
/// ```
///
/// Expectation maximisation from the clusters of k-means fits it (Dempster, Laird & Rubin 1977), in
/// f64 and with the settings of scikit-learn's `GaussianMixture`. Time and memory grow with rows ×
/// components. Likelihoods are added in logarithms, so rows far from all components have a finite
/// ln p; `linfa_clustering::GaussianMixtureModel` gives NaN there.
///
/// ```
/// use candle_core::{DType, Device};
/// use flow_analysis::mixtures::GaussianMixture;
///
/// let rows = flow_core::random::normal(0, (1000, 2), DType::F64, &Device::Cpu)?;
/// let gaussian = GaussianMixture::fit(&rows, 1, 0)?;
/// let mean = gaussian.log_prob(&rows)?.iter().sum::<f64>() / 1000.0;
/// assert!((mean + 2.84).abs() < 0.1); // −(1 + ln 2π)
/// # flow_analysis::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct GaussianMixture {
    /// Mean and standard deviation of each number; the components are of standardised rows.
    center: Array1<f64>,
    scale: Array1<f64>,
    components: Vec<Gaussian>,
}

/// Mean ln p of held-out rows, in nats, under densities fitted to the training rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Baselines {
    /// Of one Gaussian.
    pub gaussian: f64,
    /// Of the best mixture.
    pub mixture: f64,
    /// The number of its components: the best by these rows of 2, 4, 8 … 64.
    pub components: usize,
}

/// Fits a Gaussian and mixtures of Gaussians to `train`, and measures them on `held_out`. With
/// contexts, densities are conditional: p(x | c) = p(x, c) / p(c).
///
/// At most 50,000 training rows are used, evenly spread.
///
/// # Errors
/// If there are fewer than two training rows, a number is the same in all of them or not finite, or
/// shapes do not fit.
pub fn baselines(train: &Data, held_out: &Data, seed: u64) -> Result<Baselines> {
    let features = train.samples().dim(D::Minus1)?;
    let contexts = varying_contexts(train)?;
    let [train, held_out] = [joint(train, &contexts)?, joint(held_out, &contexts)?];
    let step = train.dim(0)?.div_ceil(MOST_ROWS).max(1);
    let chosen = (0..train.dim(0)? as u32).step_by(step).collect::<Vec<_>>();
    let count = chosen.len();
    let train = train.index_select(&Tensor::new(chosen, train.device())?, 0)?;
    let measure = |components| -> Result<f64> {
        let mixture = GaussianMixture::fit(&train, components, seed)?;
        let mut log_prob = mixture.log_prob(&held_out)?;
        let all = held_out.dim(1)?;
        if all > features {
            let contexts = held_out.narrow(1, features, all - features)?;
            let of_contexts = mixture.marginal(features..all)?.log_prob(&contexts)?;
            let both = log_prob.iter_mut().zip(of_contexts);
            both.for_each(|(joint, context)| *joint -= context);
        }
        Ok(log_prob.iter().sum::<f64>() / log_prob.len() as f64)
    };
    let gaussian = measure(1)?;
    let mut found = Baselines {
        gaussian,
        mixture: gaussian,
        components: 1,
    };
    for components in COMPONENTS {
        if components * LEAST_ROWS > count {
            break;
        }
        let mixture = measure(components)?;
        if mixture <= found.mixture {
            break;
        }
        (found.mixture, found.components) = (mixture, components);
    }
    Ok(found)
}

/// The numbers of contexts that are not the same in all rows.
fn varying_contexts(data: &Data) -> Result<Vec<u32>> {
    if !data.has_context() {
        return Ok(Vec::new());
    }
    let context = data.context()?;
    let constant = constant_columns(context)?;
    let varying = (0..context.dim(1)?).filter(|number| !constant.contains(number));
    Ok(varying.map(|number| number as u32).collect())
}

/// Samples with some numbers of their contexts beside them.
fn joint(data: &Data, contexts: &[u32]) -> Result<Tensor> {
    let x = data.samples();
    if contexts.is_empty() {
        return Ok(x.clone());
    }
    let contexts = Tensor::new(contexts, x.device())?;
    let context = data.context()?.index_select(&contexts, 1)?;
    Ok(Tensor::cat(&[x, &context], 1)?)
}

impl GaussianMixture {
    /// The mixture of so many components that fits the rows `[N, D]`. The same `seed` gives the
    /// same mixture.
    ///
    /// # Errors
    /// If there are fewer rows than components or than two, a number is the same in all rows or not
    /// finite, or covariances become singular ([`Error::Method`]).
    pub fn fit(rows: &Tensor, components: usize, seed: u64) -> Result<Self> {
        let mut rows = array(rows)?;
        let (count, features) = rows.dim();
        if components == 0 || count < components.max(2) {
            return Err(Error::Input(format!(
                "a mixture of {components} Gaussians cannot be fitted to {count} rows"
            )));
        }
        let center = rows
            .mean_axis(Axis(0))
            .unwrap_or_else(|| Array1::zeros(features));
        let scale = rows.std_axis(Axis(0), 0.0);
        let is_constant = |(scale, center): (&f64, &f64)| {
            !scale.is_finite() || *scale <= 1e-12 * center.abs().max(f64::MIN_POSITIVE)
        };
        if let Some(column) = scale.iter().zip(&center).position(is_constant) {
            return Err(Error::Input(format!(
                "number {column} of the rows is the same in all of them, or not finite"
            )));
        }
        rows -= &center;
        rows /= &scale;
        Ok(Self {
            components: expectation::maximize(&rows, components, seed)?,
            center,
            scale,
        })
    }

    /// ln p of the rows `[N, D]`, in nats.
    ///
    /// # Errors
    /// If the rows have another number of columns.
    pub fn log_prob(&self, rows: &Tensor) -> Result<Vec<f64>> {
        let mut rows = array(rows)?;
        if rows.ncols() != self.center.len() {
            let (got, needed) = (rows.ncols(), self.center.len());
            return Err(Error::Input(format!(
                "rows of {got} numbers instead of {needed}"
            )));
        }
        rows -= &self.center;
        rows /= &self.scale;
        let volume = self.scale.mapv(f64::ln).sum();
        let log_prob = expectation::log_prob(&self.components, &rows);
        Ok(log_prob
            .into_iter()
            .map(|log_prob| log_prob - volume)
            .collect())
    }

    /// The mixture of some of the columns alone.
    ///
    /// # Errors
    /// If the columns are not among those of the mixture.
    pub fn marginal(&self, columns: Range<usize>) -> Result<Self> {
        if columns.is_empty() || columns.end > self.center.len() {
            let all = self.center.len();
            return Err(Error::Input(format!(
                "columns {columns:?} of a mixture of {all}"
            )));
        }
        let part = |numbers: &Array1<f64>| numbers.slice(ndarray::s![columns.clone()]).to_owned();
        let components = self.components.iter();
        let components = components.map(|gaussian| gaussian.marginal(columns.clone()));
        Ok(Self {
            center: part(&self.center),
            scale: part(&self.scale),
            components: components.collect::<Result<_>>()?,
        })
    }
}

/// The numbers of a tensor `[N, D]`.
fn array(rows: &Tensor) -> Result<Array2<f64>> {
    let shape = rows.dims2()?;
    let numbers = transfer::numbers(rows)?;
    Array2::from_shape_vec(shape, numbers).map_err(Error::of_method("the rows are no matrix"))
}
