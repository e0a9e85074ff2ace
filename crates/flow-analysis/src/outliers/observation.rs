//! Observations: likelihoods and latents of images under a model.

use crate::Result;
use crate::likelihood::{BATCH_SIZE, batch_seed, is_own};
use candle_core::Tensor;
use flow_core::runs::{Rows, RunLength, in_runs};
use flow_core::{standard_normal_log_prob, transfer};
use flow_glow::ranks::{Ranks, gather, patience};
use flow_glow::{Glow, quantize};
use std::time::Instant;

/// Images of a run; see [`flow_core::runs`].
const RUN: RunLength = RunLength {
    host: 32,
    accelerator: 256,
};

/// Likelihood and latents of one image under a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    /// Negative log-likelihood in bits per dimension; see [`quantize`].
    pub bits_per_dim: f64,
    /// Root of the mean square of all latents: 1 is expected under the model.
    pub latent_norm: f64,
}

/// The dequantization noise of images that are observed, drawn from a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noise {
    /// Drawn for each batch, as [`bits_per_dim`](crate::likelihood::bits_per_dim) draws it.
    OfBatch(u64),
    /// The same for each image, so that its numbers do not depend on the images beside it.
    Same(u64),
}

/// Observes u8 images `[N, C, H, W]` under `model`. `class` is the class of all images; without it,
/// classes are equally likely. `progress` gets the number of images before each batch of this
/// process. All `ranks` call this with the same images, share the work, and get the same.
///
/// # Errors
/// If the images or the class are not the model's, or the ranks lose each other.
pub fn observe_images(
    model: &Glow,
    images: &Tensor,
    class: Option<u32>,
    noise: Noise,
    ranks: &dyn Ranks,
    mut progress: impl FnMut(usize),
) -> Result<Vec<Observation>> {
    let (began, count) = (Instant::now(), images.dim(0)?);
    let mut found = Vec::with_capacity(2 * count);
    let batches = 0..count.div_ceil(BATCH_SIZE);
    for batch in batches.filter(|&batch| is_own(ranks, batch)) {
        let start = batch * BATCH_SIZE;
        progress(start);
        let length = BATCH_SIZE.min(count - start);
        let images = images.narrow(0, start, length)?.contiguous()?;
        let images = transfer::to_device(&images, model.device())?;
        let (x, offset) = dequantize(model, &images, noise, batch)?;
        let labels = class.map(|class| Tensor::full(class, length, model.device()));
        let observed = observe(model, &x, &offset, labels.transpose()?.as_ref())?;
        let numbers = observed
            .iter()
            .flat_map(|one| [one.bits_per_dim, one.latent_norm]);
        found.extend((2 * start..).zip(numbers));
    }
    let found = gather(ranks, 2 * count, found, patience(began))?;
    let observation = |&[bits_per_dim, latent_norm]: &[f64; 2]| Observation {
        bits_per_dim,
        latent_norm,
    };
    Ok(found.as_chunks().0.iter().map(observation).collect())
}

fn dequantize(
    model: &Glow,
    images: &Tensor,
    noise: Noise,
    batch: usize,
) -> Result<(Tensor, Tensor)> {
    match noise {
        Noise::OfBatch(seed) => Ok(model.dequantize(images, batch_seed(seed, batch))?),
        Noise::Same(seed) => {
            let one = |image: usize| model.dequantize(&images.narrow(0, image, 1)?, seed);
            let parts = (0..images.dim(0)?)
                .map(one)
                .collect::<flow_glow::Result<Vec<_>>>()?;
            let (x, offsets): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
            Ok((Tensor::cat(&x, 0)?, Tensor::cat(&offsets, 0)?))
        }
    }
}

/// Observes x `[B, C, H, W]` in model space under `model`; `offset` `[B]` is what
/// [`Glow::dequantize`] gives with it. `labels` are `[B]` in u32, for a model with classes; without
/// them, each class counts as equally likely, and the latents are those of the class that fits
/// best.
///
/// # Errors
/// If shapes or labels are not those of the model.
pub fn observe(
    model: &Glow,
    x: &Tensor,
    offset: &Tensor,
    labels: Option<&Tensor>,
) -> Result<Vec<Observation>> {
    let runs = in_runs(x.device(), x.dim(0)?, RUN, |run: Rows| {
        let (x, offset) = (run.of(x)?, run.of(offset)?);
        match (model.config().classes, labels) {
            (Some(classes), None) => of_any_class(model, &x, &offset, classes),
            (_, None) => of_run(model, &x, &offset, None),
            (_, Some(labels)) => of_run(model, &x, &offset, Some(&run.of(labels)?)),
        }
    })?;
    Ok(runs.concat())
}

fn of_run(
    model: &Glow,
    x: &Tensor,
    offset: &Tensor,
    labels: Option<&Tensor>,
) -> Result<Vec<Observation>> {
    let (latents, log_det) = model.encode(x, labels)?;
    let mut log_likelihood = log_det;
    let mut squares = vec![0.0; x.dim(0)?];
    for latent in &latents.0 {
        log_likelihood = (log_likelihood + standard_normal_log_prob(latent)?)?;
        let of_level = latent.sqr()?.flatten_from(1)?.sum(1)?;
        for (sum, square) in squares.iter_mut().zip(numbers(&of_level)?) {
            *sum += square;
        }
    }
    let bits = quantize::bits_per_dim(model.config(), &(log_likelihood + offset)?)?;
    let dimensions = model.config().image.dimensions() as f64;
    let observation = |(bits_per_dim, squares): (f64, f64)| Observation {
        bits_per_dim,
        latent_norm: (squares / dimensions).sqrt(),
    };
    Ok(numbers(&bits)?
        .into_iter()
        .zip(squares)
        .map(observation)
        .collect())
}

fn of_any_class(
    model: &Glow,
    x: &Tensor,
    offset: &Tensor,
    classes: usize,
) -> Result<Vec<Observation>> {
    let images = x.dim(0)?;
    let of_class = |class: usize| {
        let labels = Tensor::full(class as u32, images, x.device())?;
        of_run(model, x, offset, Some(&labels))
    };
    let by_class = (0..classes).map(of_class).collect::<Result<Vec<_>>>()?;
    let of_image = |image: usize| {
        let observations: Vec<_> = by_class.iter().map(|class| class[image]).collect();
        let bits: Vec<_> = observations.iter().map(|one| one.bits_per_dim).collect();
        let fits_best = observations
            .into_iter()
            .min_by(|a, b| a.bits_per_dim.total_cmp(&b.bits_per_dim))
            .expect("a model with classes has one");
        Observation {
            // The mean over draws of noise is the same formula as the mean over classes.
            bits_per_dim: quantize::importance_weighted(model.config(), &bits),
            ..fits_best
        }
    };
    Ok((0..images).map(of_image).collect())
}

fn numbers(tensor: &Tensor) -> Result<Vec<f64>> {
    Ok(transfer::numbers(tensor)?)
}
