//! Observations: likelihoods and latents of images under a model.

use crate::Result;
use crate::likelihood::{BATCH_SIZE, batch_seed, is_own};
use candle_core::Tensor;
use flow_core::runs::Rows;
use flow_core::train::Data;
use flow_core::{Bijection, transfer};
use flow_glow::ranks::{Ranks, gather, patience};
use flow_glow::{Glow, quantize};
use std::time::Instant;

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

/// Observes u8 images `[N, C, H, W]` and their conditions under `model`, as [`observe`] does.
/// `progress` gets the number of images before each batch of this process. All `ranks` call this
/// with the same images, share the work, and get the same.
///
/// # Errors
/// If the images or their conditions are not the model's, or the ranks lose each other.
pub fn observe_images(
    model: &Glow,
    data: impl Into<Data>,
    noise: Noise,
    ranks: &dyn Ranks,
    mut progress: impl FnMut(usize),
) -> Result<Vec<Observation>> {
    let (began, data) = (Instant::now(), data.into());
    let count = data.samples().dim(0)?;
    let mut found = Vec::with_capacity(2 * count);
    let batches = 0..count.div_ceil(BATCH_SIZE);
    for batch in batches.filter(|&batch| is_own(ranks, batch)) {
        let start = batch * BATCH_SIZE;
        progress(start);
        let rows = Rows::new(start..count.min(start + BATCH_SIZE), count);
        let data = data.of(&rows)?.on(model.device())?;
        let (x, offset) = dequantize(model, data.samples(), noise, batch)?;
        let observed = observe(model, data.with_samples(&x), &offset)?;
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

/// Observes x `[B, C, H, W]` in model space and their conditions under `model`; `offset` `[B]` is
/// what [`Glow::dequantize`] gives with it. Without labels, the classes of a model are equally
/// likely, and the latents are those of the likeliest class.
///
/// # Errors
/// If shapes or conditions are not those of the model.
pub fn observe(model: &Glow, data: impl Into<Data>, offset: &Tensor) -> Result<Vec<Observation>> {
    let data = data.into();
    match (model.config().classes, data.has_context()) {
        (Some(classes), false) => of_any_class(model, data.samples(), offset, classes),
        _ => of_bound(&model.conditioned_on(&data)?, data.samples(), offset),
    }
}

fn of_bound<B: Bijection>(
    model: &Glow<B>,
    x: &Tensor,
    offset: &Tensor,
) -> Result<Vec<Observation>> {
    let (z, log_det) = model.encode(x)?;
    let log_likelihood = model.base().add_log_prob(&log_det, &z)?;
    let bits = quantize::bits_per_dim(model.config(), &(log_likelihood + offset)?)?;
    let mut squares = vec![0.0; x.dim(0)?];
    for latent in &model.latents(&z)?.0 {
        let of_level = latent.sqr()?.flatten_from(1)?.sum(1)?;
        for (sum, square) in squares.iter_mut().zip(transfer::numbers(&of_level)?) {
            *sum += square;
        }
    }
    let dimensions = model.config().image.dimensions() as f64;
    let observation = |(bits_per_dim, squares): (f64, f64)| Observation {
        bits_per_dim,
        latent_norm: (squares / dimensions).sqrt(),
    };
    let bits = transfer::numbers(&bits)?.into_iter();
    Ok(bits.zip(squares).map(observation).collect())
}

fn of_any_class(
    model: &Glow,
    x: &Tensor,
    offset: &Tensor,
    classes: usize,
) -> Result<Vec<Observation>> {
    let of_class = |class: usize| {
        let label = Tensor::new(&[class as u32], x.device())?;
        of_bound(&model.given(&label)?, x, offset)
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
    Ok((0..x.dim(0)?).map(of_image).collect())
}
