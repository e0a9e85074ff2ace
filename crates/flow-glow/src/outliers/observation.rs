//! What a model says of images.

use crate::model::{Glow, RUN_LENGTH};
use crate::runs::{Run, in_runs};
use crate::{Result, quantize};
use candle_core::Tensor;
use flow_core::{standard_normal_log_prob, transfer};

/// What a model says of one image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    /// Negative log-likelihood in bits per dimension; see [`quantize`].
    pub bits_per_dim: f64,
    /// Root of the mean square of all latents: 1 is expected under the model.
    pub latent_norm: f64,
}

/// Asks `model` about x `[B, C, H, W]` in model space; `offset` `[B]` is what [`Glow::dequantize`] gives
/// with it. `labels` are `[B]` in u32, for a model with classes; without them, each class counts as equally
/// likely, and the latents are those of the class that fits best.
///
/// # Errors
/// If shapes or labels are not those of the model.
pub fn observe(
    model: &Glow,
    x: &Tensor,
    offset: &Tensor,
    labels: Option<&Tensor>,
) -> Result<Vec<Observation>> {
    let runs = in_runs(x.device(), x.dim(0)?, RUN_LENGTH, |run: Run| {
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
