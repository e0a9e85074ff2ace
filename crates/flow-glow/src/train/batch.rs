//! The gradient of a batch, from runs of its images that are differentiated side by side.

use super::portion::{Noise, Portion};
use crate::Result;
use crate::model::Glow;
use crate::runs::{Run, side_by_side};
use candle_core::{Device, Tensor};
use flow_core::params::ParamStore;
use flow_core::{Gradients, transfer};

/// Images in a run of a batch of `count`: half of them, so that two threads have one each; enough for
/// large matrix products, and no more. It does not depend on the number of threads, and so the sums of
/// the runs do not.
pub(super) fn run_length(count: usize) -> usize {
    count.div_ceil(2).clamp(8, 32)
}

/// The share of u8 images `[B, C, H, W]`, a `portion` of a batch, in its mean bits per dimension, and the
/// gradient of that; `seed` draws the noise.
pub(super) fn gradient(
    model: &Glow,
    params: &ParamStore,
    device: &Device,
    images: &Tensor,
    labels: Option<&Tensor>,
    portion: &Portion,
    seed: u64,
) -> Result<(f64, Gradients)> {
    let mut sum = Gradients::new(params);
    let differentiate = |(run, noise): (Run, Noise)| {
        let labels = labels.map(|labels| run.of(labels)).transpose()?;
        let images = run.of(images)?;
        let noise = noise.draw(images.shape(), device)?;
        let bits = model.bits_per_dim_with(&images, labels.as_ref(), &noise)?;
        let share = (bits.sum_all()? / portion.batch_size() as f64)?;
        let mut gradients = sum.none();
        gradients.add(&share.backward()?)?;
        Ok((transfer::scalar(&share)?, gradients))
    };
    let runs = portion.runs(device, seed, model.config().image.dimensions());
    let runs = side_by_side(device, runs, differentiate)?;
    let (shares, gradients): (Vec<_>, Vec<_>) = runs.into_iter().unzip();
    sum.append(gradients)?;
    Ok((shares.iter().sum(), sum))
}
