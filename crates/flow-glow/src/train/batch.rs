//! The gradient of a batch, from runs of its images that are differentiated side by side.

use crate::Result;
use crate::model::Glow;
use crate::runs::{Run, in_runs};
use candle_core::{Device, Tensor};
use flow_core::params::ParamStore;
use flow_core::{Gradients, random};

/// Images in a run of a batch of `count`: half of them, so that two threads have one each; enough for
/// large matrix products, and no more. It does not depend on the number of threads, and so the sums of
/// the runs do not.
pub(super) fn run_length(count: usize) -> usize {
    count.div_ceil(2).clamp(8, 32)
}

/// The seed of the dequantisation noise of a run.
pub(super) fn noise_seed(seed: u64, run: &Run) -> u64 {
    random::derive(seed, &format!("images.{}", run.start()))
}

/// The mean bits per dimension of u8 images `[B, C, H, W]`, and its gradient; `seed` draws the noise.
pub(super) fn gradient(
    model: &Glow,
    params: &ParamStore,
    device: &Device,
    images: &Tensor,
    labels: Option<&Tensor>,
    seed: u64,
) -> Result<(f64, Gradients)> {
    let count = images.dim(0)?;
    let mut sum = Gradients::new(params);
    let differentiate = |run: Run| {
        let labels = labels.map(|labels| run.of(labels)).transpose()?;
        let seed = noise_seed(seed, &run);
        let bits = model.bits_per_dim(&run.of(images)?, labels.as_ref(), seed)?;
        let share = (bits.sum_all()? / count as f64)?;
        let mut gradients = sum.none();
        gradients.add(&share.backward()?)?;
        Ok((f64::from(share.to_scalar::<f32>()?), gradients))
    };
    let runs = in_runs(device, count, run_length(count), differentiate)?;
    let (shares, gradients): (Vec<_>, Vec<_>) = runs.into_iter().unzip();
    sum.append(gradients)?;
    Ok((shares.iter().sum(), sum))
}
