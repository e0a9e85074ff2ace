//! Bits per dimension and accuracy of a model over many images.
//!
//! The processes of a job share the batches: batch i is measured by rank i mod N, and all of them
//! get the same numbers. Noise is drawn for each batch by [`batch_seed`], so results depend on the
//! size of batches; those of this project are of [`BATCH_SIZE`].

use flow_core::{train::Data, transfer};
use flow_glow::{
    Error, Glow, quantize,
    ranks::{Ranks, gather, patience},
};
use std::time::Instant;

/// Images in a batch.
pub const BATCH_SIZE: usize = 100;

/// The dequantization noise of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noise {
    /// The seed of the first draw; draw k is the one draw of the seed `seed + k`.
    pub seed: u64,
    /// Draws for each image, one or more: more make the bound tighter.
    pub draws: usize,
}

/// A mean over images, in bits per dimension.
#[derive(Clone, Copy, Debug)]
pub struct Measurement {
    /// Over all images, so that it is not finite if one image's is not.
    pub bits_per_dim: f64,
    /// Of the mean, from the spread over images; one image has none.
    pub standard_error: Option<f64>,
    /// Images that were measured.
    pub images: usize,
    /// Those of them without a finite value.
    pub non_finite: usize,
}

/// Measures the images of all `batches`: for each, the bits per dimension of the mean of its
/// likelihoods under the draws of `noise`, an upper bound
/// ([`quantize::importance_weighted`]). A batch is u8 images `[B, C, H, W]` and their conditions,
/// as [`Glow::given`] takes them, on any device.
///
/// `go_on` gets the number of images before each batch of this process; if it returns false, there
/// is no result. All `ranks` call this with the same batches.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use flow_analysis::likelihood::{Noise, bits_per_dim};
/// use flow_core::params::ParamStore;
/// use flow_glow::{Glow, GlowConfig, ImageShape, ranks::Alone};
///
/// let config = GlowConfig { steps: 2, ..GlowConfig::small(ImageShape::new(1, 8, 8)) };
/// let model = Glow::new(&config, ParamStore::new(0).builder(DType::F32, &Device::Cpu))?;
/// let images = Tensor::zeros((10, 1, 8, 8), DType::U8, &Device::Cpu)?;
/// let batches = [flow_glow::Result::Ok((&images).into())];
/// let noise = Noise { seed: 0, draws: 1 };
/// let found = bits_per_dim(&model, batches, noise, &Alone, |_| true)?;
/// assert_eq!(found.expect("nobody stopped it").images, 10);
/// # flow_glow::Result::Ok(())
/// ```
///
/// # Errors
/// Those of `batches`, and of the model: if the images are not its own.
pub fn bits_per_dim<E: From<Error>>(
    model: &Glow,
    batches: impl IntoIterator<Item = Result<Data, E>>,
    noise: Noise,
    ranks: &dyn Ranks,
    go_on: impl FnMut(usize) -> bool,
) -> Result<Option<Measurement>, E> {
    let measure = |batch: &Data, i| of_batch(model, batch, noise, i);
    let values = over_batches(batches, ranks, go_on, measure)?;
    Ok(values.map(|[bits]| Measurement::of(&bits)))
}

/// The bits per dimension of each image of batch `i`.
fn of_batch(
    model: &Glow,
    batch: &Data,
    Noise { seed, draws }: Noise,
    i: usize,
) -> flow_glow::Result<Vec<[f64; 1]>> {
    let batch = batch.on(model.device())?;
    let (model, images) = (model.conditioned_on(&batch)?, batch.samples());
    let mut of_images = vec![Vec::with_capacity(draws); images.dim(0)?];
    for k in 0..draws as u64 {
        let seed = batch_seed(seed.wrapping_add(k), i);
        let bits = model.bits_per_dim(images, seed)?;
        for (of_image, bits) in of_images.iter_mut().zip(transfer::numbers(&bits)?) {
            of_image.push(bits);
        }
    }
    let of_images = of_images.iter();
    Ok(of_images
        .map(|of_image| [quantize::importance_weighted(model.config(), of_image)])
        .collect())
}

/// Bits per dimension and accuracy of a model with classes, on labelled images.
#[derive(Clone, Copy, Debug)]
pub struct OfClasses {
    /// Bits per dimension, each image given its class; as [`bits_per_dim`].
    pub given: Measurement,
    /// Bits per dimension of the images alone: of the mean of their likelihoods in all classes,
    /// which are equally likely.
    pub marginal: Measurement,
    /// Share of images whose own class is the most likely, by one draw of noise; NaN if one has no
    /// finite posterior.
    pub accuracy: f64,
}

/// Measures the images of all `batches`, as [`bits_per_dim`] does, in all classes of a model.
///
/// # Errors
/// Those of `batches`, and of the model: if the images are not its own, or have no classes.
pub fn of_classes<E: From<Error>>(
    model: &Glow,
    batches: impl IntoIterator<Item = Result<Data, E>>,
    noise: Noise,
    ranks: &dyn Ranks,
    go_on: impl FnMut(usize) -> bool,
) -> Result<Option<OfClasses>, E> {
    let measure = |batch: &Data, i| classes_of_batch(model, batch, noise, i);
    let values = over_batches(batches, ranks, go_on, measure)?;
    Ok(values.map(|[given, marginal, hits]| OfClasses {
        given: Measurement::of(&given),
        marginal: Measurement::of(&marginal),
        accuracy: hits.iter().sum::<f64>() / hits.len() as f64,
    }))
}

/// For each image of batch `i`: its bits given its class and alone, and 1 if its own class is the
/// most likely, 0 if not, NaN without a finite posterior.
fn classes_of_batch(
    model: &Glow,
    batch: &Data,
    Noise { seed, draws }: Noise,
    i: usize,
) -> flow_glow::Result<Vec<[f64; 3]>> {
    let batch = batch.on(model.device())?;
    let labels = transfer::numbers(batch.context()?)?;
    let draw = |k: u64| {
        let seed = batch_seed(seed.wrapping_add(k), i);
        let bits = model.class_bits_per_dim(batch.samples(), seed)?;
        Ok(transfer::rows(&bits)?)
    };
    let draws = (0..draws as u64).map(draw);
    let draws = draws.collect::<flow_glow::Result<Vec<_>>>()?;
    let of_image = |(image, label): (usize, f64)| {
        let own = label as usize;
        let given = draws.iter().map(|images| images[image][own]);
        let all = draws
            .iter()
            .flat_map(|images| images[image].iter().copied());
        let mean = |bits: Vec<f64>| quantize::importance_weighted(model.config(), &bits);
        let first = &draws[0][image];
        let hit = if first[own].is_nan() {
            f64::NAN
        } else {
            f64::from(u8::from(first.iter().all(|&other| first[own] <= other)))
        };
        [mean(given.collect()), mean(all.collect()), hit]
    };
    Ok(labels.into_iter().enumerate().map(of_image).collect())
}

/// N numbers of each image of all `batches`, by `measure` of a batch and its index. Batches are
/// shared out among `ranks`, and so are the numbers.
fn over_batches<E: From<Error>, const N: usize>(
    batches: impl IntoIterator<Item = Result<Data, E>>,
    ranks: &dyn Ranks,
    mut go_on: impl FnMut(usize) -> bool,
    measure: impl Fn(&Data, usize) -> flow_glow::Result<Vec<[f64; N]>>,
) -> Result<Option<[Vec<f64>; N]>, E> {
    let began = Instant::now();
    let (mut values, mut total) = (Vec::new(), 0);
    for (i, batch) in batches.into_iter().enumerate() {
        let batch = batch?;
        let start = total;
        total += batch.samples().dim(0).map_err(Error::from)?;
        if !is_own(ranks, i) {
            continue;
        }
        if !go_on(start) {
            return Ok(None);
        }
        values.extend((start..).zip(measure(&batch, i)?));
    }
    let places = values.into_iter().flat_map(|(image, numbers)| {
        let numbers = numbers.into_iter().enumerate();
        numbers.map(move |(n, number)| (n * total + image, number))
    });
    let gathered = gather(ranks, N * total, places, patience(began))?;
    Ok(Some(std::array::from_fn(|n| {
        gathered[n * total..][..total].to_vec()
    })))
}

/// The seed of batch `i` of a job: the job's own for the first, and another for each of the rest.
pub fn batch_seed(seed: u64, i: usize) -> u64 {
    seed ^ (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// True if batch `i` of a job is this rank's.
pub(crate) fn is_own(ranks: &dyn Ranks, i: usize) -> bool {
    i % ranks.size() == ranks.rank()
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
