//! Gradient of a batch, from runs of its images that are differentiated side by side.

use super::objective::Fitted;
use super::shard::{Noise, Shard};
use crate::Result;
use crate::runs::Run;
use flow_core::train::{Data, gradient_of_runs};
use flow_core::{Bijection, Gradients};

/// Images in a run of a batch of `count`: half of them, so two threads have one run each, but no
/// more than large matrix products need. It is independent of the number of threads, and so are the
/// sums over runs.
pub(super) fn run_length(count: usize) -> usize {
    count.div_ceil(2).clamp(8, 32)
}

/// Share of a `shard` of u8 images `[B, C, H, W]` in the batch's mean bits per dimension, and the
/// gradient of the objective. `seed` draws the noise. Contexts are in the flow's form.
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
    let runs = shard.runs(device, seed, trainable.config().image.dimensions());
    let loss = |(run, noise): (Run, Noise)| {
        let data = data.of(&run)?.on(device)?;
        let noise = noise.draw(data.samples().shape(), device)?;
        let (x, offset) = trainable.dequantize_with(data.samples(), &noise)?;
        let (y, log_det) = data.given(trainable.levels())?.forward(&x)?;
        let share = objective.share(trainable, &data, &y, &(log_det + offset)?)?;
        Ok((share.loss, share.bits_per_dim))
    };
    gradient_of_runs(device, runs, &Gradients::new(params), loss)
}
