//! The gradient of a batch, from runs of its images that are differentiated side by side.

use crate::Result;
use crate::model::Glow;
use crate::runs::{Run, in_runs};
use candle_core::{DType, Device, Tensor};
use flow_core::params::ParamStore;
use flow_core::{Gradients, random, transfer};

/// Images in a run of a batch of `count`: half of them, so that two threads have one each; enough for
/// large matrix products, and no more. It does not depend on the number of threads, and so the sums of
/// the runs do not.
pub(super) fn run_length(count: usize) -> usize {
    count.div_ceil(2).clamp(8, 32)
}

/// The dequantisation noise of the images of a run of a batch `[B, …]`. It is drawn for as many at a time as go through
/// the model on the host, and so is the same where more of them do.
pub(super) fn noise(images: &Tensor, run: &Run, seed: u64, device: &Device) -> Result<Tensor> {
    let (places, length) = (run.places(), run_length(images.dim(0)?));
    let mut shape = images.dims().to_vec();
    shape[0] = places.len();
    let numbers = shape[1..].iter().product::<usize>();
    let draw = |start: usize| {
        let count = length.min(places.end - start) * numbers;
        random::uniform_numbers::<f32>(random::derive(seed, &format!("images.{start}")), count)
    };
    let noise = places.clone().step_by(length).flat_map(draw).collect();
    Ok(transfer::upload(noise, shape, DType::F32, device)?)
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
        let noise = noise(images, &run, seed, device)?;
        let bits = model.bits_per_dim_with(&run.of(images)?, labels.as_ref(), &noise)?;
        let share = (bits.sum_all()? / count as f64)?;
        let mut gradients = sum.none();
        gradients.add(&share.backward()?)?;
        Ok((transfer::scalar(&share)?, gradients))
    };
    let runs = in_runs(device, count, run_length(count), differentiate)?;
    let (shares, gradients): (Vec<_>, Vec<_>) = runs.into_iter().unzip();
    sum.append(gradients)?;
    Ok((shares.iter().sum(), sum))
}
