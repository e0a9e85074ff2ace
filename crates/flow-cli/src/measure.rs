//! Bits per dimension of a data set under a model.

use std::time::Instant;

use anyhow::Result;
use candle_core::{DType, Device};
use flow_core::transfer;
use flow_data::Dataset;
use flow_glow::{
    Glow, quantize,
    ranks::{Ranks, gather, patience},
};

use crate::input::data;

/// Images at once.
pub(crate) const BATCH_SIZE: usize = 100;

/// The mean over images, in bits per dimension.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measurement {
    /// Over all images, so that it is not finite if one image's is not.
    pub(crate) bits_per_dim: f64,
    /// Of the mean, from the spread over images; one image has none.
    pub(crate) standard_error: Option<f64>,
    /// How many images were measured.
    pub(crate) images: usize,
    /// How many of them have no finite value.
    pub(crate) non_finite: usize,
}

impl Measurement {
    fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares = values
            .iter()
            .map(|value| (value - mean).powi(2))
            .sum::<f64>();
        Self {
            bits_per_dim: mean,
            standard_error: (values.len() > 1).then(|| (squares / (n - 1.0) / n).sqrt()),
            images: values.len(),
            non_finite: values.iter().filter(|value| !value.is_finite()).count(),
        }
    }
}

impl std::fmt::Display for Measurement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.non_finite > 0 {
            let (bad, all) = (self.non_finite, self.images);
            return write!(
                f,
                "not finite: {bad} of {all} images have no finite likelihood"
            );
        }
        write!(f, "{:.4}", self.bits_per_dim)?;
        match self.standard_error {
            Some(error) => write!(f, " ± {error:.4} bits per dimension"),
            None => write!(f, " bits per dimension"),
        }
    }
}

/// Measures every image of a data set; `seed` draws the dequantization noise. `go_on` is told the
/// number of images done before each batch; if it says no, there is no result. All `ranks` call this, share
/// the work, and get the same.
pub(crate) fn bits_per_dim(
    model: &Glow,
    dataset: &Dataset,
    device: &Device,
    seed: u64,
    ranks: &dyn Ranks,
    go_on: impl FnMut(usize) -> bool,
) -> Result<Option<Measurement>> {
    importance_weighted(model, dataset, device, (seed, 1), ranks, go_on)
}

/// As [`bits_per_dim`], from `samples` draws of noise for each image: a tighter bound. Draw k is the one
/// draw of the seed `seed + k`.
pub(crate) fn importance_weighted(
    model: &Glow,
    dataset: &Dataset,
    device: &Device,
    (seed, samples): (u64, usize),
    ranks: &dyn Ranks,
    mut go_on: impl FnMut(usize) -> bool,
) -> Result<Option<Measurement>> {
    let began = Instant::now();
    let mut values = Vec::with_capacity(dataset.len());
    for (i, batch) in dataset.in_order(BATCH_SIZE).enumerate() {
        if !is_own(ranks, i) {
            continue;
        }
        if !go_on(i * BATCH_SIZE) {
            return Ok(None);
        }
        let (images, labels) = data::to_device(&batch?, model.config(), device)?;
        let mut draws = vec![Vec::with_capacity(samples); images.dim(0)?];
        for k in 0..samples as u64 {
            let seed = batch_seed(seed.wrapping_add(k), i);
            let bits = model.bits_per_dim(&images, labels.as_ref(), seed)?;
            let bits = bits.to_dtype(DType::F64)?.to_vec1::<f64>()?;
            for (draws, bits) in draws.iter_mut().zip(bits) {
                draws.push(bits);
            }
        }
        let config = model.config();
        let places = i * BATCH_SIZE..;
        values.extend(
            places.zip(
                draws
                    .iter()
                    .map(|draws| quantize::importance_weighted(config, draws)),
            ),
        );
    }
    let values = gather(ranks, dataset.len(), values, patience(began))?;
    Ok(Some(Measurement::of(&values)))
}

/// How often a model with classes finds the true one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Accuracy {
    /// Of images whose true class is the most likely; NaN if one of them cannot be told.
    pub(crate) share: f64,
    /// How many images cannot be told.
    pub(crate) non_finite: usize,
}

/// The accuracy of a model, each image under one draw of noise; nothing without classes. All `ranks` call this,
/// share the work, and get the same.
pub(crate) fn accuracy(
    model: &Glow,
    dataset: &Dataset,
    device: &Device,
    seed: u64,
    ranks: &dyn Ranks,
) -> Result<Option<Accuracy>> {
    let began = Instant::now();
    let config = model.config();
    if config.classes.is_none() {
        return Ok(None);
    }
    let mut values = Vec::with_capacity(dataset.len());
    for (i, batch) in dataset.in_order(BATCH_SIZE).enumerate() {
        if !is_own(ranks, i) {
            continue;
        }
        let (images, Some(labels)) = data::to_device(&batch?, config, device)? else {
            return Ok(None);
        };
        let (x, _) = model.dequantize(&images, batch_seed(seed, i))?;
        let posteriors = transfer::rows(&model.class_log_posteriors(&x)?)?;
        let hit = |(of_classes, own): (&Vec<f64>, f64)| {
            let own = of_classes[own as usize];
            if own.is_nan() {
                return f64::NAN;
            }
            f64::from(u8::from(of_classes.iter().all(|&other| other <= own)))
        };
        let hits = posteriors.iter().zip(transfer::numbers(&labels)?).map(hit);
        values.extend((i * BATCH_SIZE..).zip(hits));
    }
    let hits = gather(ranks, dataset.len(), values, patience(began))?;
    Ok(Some(Accuracy {
        share: hits.iter().sum::<f64>() / hits.len() as f64,
        non_finite: hits.iter().filter(|hit| hit.is_nan()).count(),
    }))
}

/// Whether batch `i` of a job is this rank's.
pub(crate) fn is_own(ranks: &dyn Ranks, i: usize) -> bool {
    i % ranks.size() == ranks.rank()
}

/// The seed of batch `i` of a job: the job's own for the first, and another for each of the rest.
pub(crate) fn batch_seed(seed: u64, i: usize) -> u64 {
    seed ^ (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // These results are exact.
mod tests {
    use super::*;

    #[test]
    fn mean_and_standard_error() {
        let measurement = Measurement::of(&[1.0, 2.0, 3.0, 6.0]);
        assert_eq!(measurement.bits_per_dim, 3.0);
        // Sample variance 14/3, over 4 images.
        let error = measurement.standard_error.unwrap();
        assert!((error - (14.0f64 / 12.0).sqrt()).abs() < 1e-15);
        assert_eq!(Measurement::of(&[1.0]).standard_error, None);
    }

    #[test]
    fn one_bad_image_is_not_hidden() {
        let measurement = Measurement::of(&[1.0, f64::NAN, 2.0, f64::INFINITY]);
        assert!(!measurement.bits_per_dim.is_finite());
        assert_eq!((measurement.images, measurement.non_finite), (4, 2));
    }
}
