//! The gradient of a batch, from runs of its images that are differentiated side by side.

use super::objective::Fitted;
use super::shard::{Noise, Shard};
use crate::Result;
use crate::runs::{Run, side_by_side};
use flow_core::train::Data;
use flow_core::{Bijection, Gradients, transfer};

/// Images in a run of a batch of `count`: half of them, so that two threads have one each; enough for
/// large matrix products, and no more. It does not depend on the number of threads, and so the sums of
/// the runs do not.
pub(super) fn run_length(count: usize) -> usize {
    count.div_ceil(2).clamp(8, 32)
}

/// The share of u8 images `[B, C, H, W]`, a `shard` of a batch, in its mean bits per dimension, and the
/// gradient of the objective; `seed` draws the noise. Contexts are those of the flow.
pub(super) fn gradient(
    model: &Fitted,
    data: &Data,
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
        let data = data.of(&run)?.to_device(device)?;
        let noise = noise.draw(data.samples().shape(), device)?;
        let (x, offset) = trainable.dequantize_with(data.samples(), &noise)?;
        let (y, log_det) = data.given(trainable.levels())?.forward(&x)?;
        let share = objective.share(trainable, &data, &y, &(log_det + offset)?)?;
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
