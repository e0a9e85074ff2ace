//! The gradient of a batch, from runs of its images that are differentiated side by side.

use super::objective::Fitted;
use super::shard::{Noise, Shard};
use crate::Result;
use crate::runs::{Run, side_by_side};
use candle_core::Tensor;
use flow_core::{Gradients, transfer};

/// Images in a run of a batch of `count`: half of them, so that two threads have one each; enough for
/// large matrix products, and no more. It does not depend on the number of threads, and so the sums of
/// the runs do not.
pub(super) fn run_length(count: usize) -> usize {
    count.div_ceil(2).clamp(8, 32)
}

/// The share of u8 images `[B, C, H, W]`, a `shard` of a batch, in its mean bits per dimension, and the
/// gradient of what is minimised; `seed` draws the noise.
pub(super) fn gradient(
    model: &Fitted,
    images: &Tensor,
    labels: Option<&Tensor>,
    shard: &Shard,
    seed: u64,
) -> Result<(f64, Gradients)> {
    let Fitted {
        trainable,
        params,
        device,
        objective,
        ..
    } = *model;
    let mut sum = Gradients::new(params);
    let differentiate = |(run, noise): (Run, Noise)| {
        let to_device = |batch: &Tensor| Result::Ok(transfer::to_device(&run.of(batch)?, device)?);
        let labels = labels.map(to_device).transpose()?;
        let images = to_device(images)?;
        let noise = noise.draw(images.shape(), device)?;
        let (x, offset) = trainable.dequantize_with(&images, &noise)?;
        let (outputs, log_det) = trainable.pass_levels(&x)?;
        let log_det = (log_det + offset)?;
        let share = objective.share(trainable, &outputs, &log_det, labels.as_ref())?;
        let mut gradients = sum.none();
        gradients.add(&share.loss.backward()?)?;
        Ok((transfer::scalar(&share.bits_per_dim)?, gradients))
    };
    let runs = shard.runs(device, seed, trainable.config().image.dimensions());
    let runs = side_by_side(device, runs, differentiate)?;
    let (shares, gradients): (Vec<_>, Vec<_>) = runs.into_iter().unzip();
    sum.append(gradients)?;
    Ok((shares.iter().sum(), sum))
}
