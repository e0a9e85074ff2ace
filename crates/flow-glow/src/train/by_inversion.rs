//! The gradient of a batch without its activations: each block recovers its input from its output.
//!
//! Forward, nothing is recorded, and of each level only the output is kept. Backward, all runs of the
//! batch go through a block before any goes on, so that no more than one block's graph and one gradient
//! exist at a time (arXiv:1807.03039, section 3; [`Bijection::backward`](flow_core::Bijection::backward)).
//! Every level begins with its true output, so errors of inversion do not go on from one to the next, and
//! ends with a comparison of the recovered input with the true one.

use super::all_reduce::Sums;
use super::objective::Fitted;
use super::shard::{Noise, Shard};
use crate::Result;
use crate::runs::{Run, side_by_side};
use candle_core::{Tensor, Var};
use flow_core::{Gradients, check, transfer};

/// How far inputs that were recovered from outputs lay from the true ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Inversion {
    /// The largest difference, relative to 1 + the largest magnitude; infinite if a number was none.
    pub error: f64,
    /// The level where it was largest, from 0.
    pub level: usize,
}

impl Inversion {
    /// The largest error of a gradient that is used. Gradients are about as wrong as the inputs they are
    /// taken at, so three digits are right.
    pub const BOUND: f64 = 1e-3;

    /// Whether gradients from it can be used.
    pub fn is_sound(&self) -> bool {
        self.error <= Self::BOUND
    }
}

/// What the forward pass of a run keeps for the backward pass.
struct Residuals {
    /// Pixels, and the uniform numbers that noise was made of.
    images: Tensor,
    noise: Tensor,
    /// What each level was given.
    inputs: Vec<Tensor>,
    /// What it made of that.
    outputs: Vec<Tensor>,
    /// The gradients in the outputs by way of the priors alone.
    grads: Vec<Tensor>,
    grad_log_det: Tensor,
}

/// As [`batch::gradient`](super::batch::gradient), with the error of the inversion. Each part of the gradient
/// goes into `sums` as soon as it is final.
pub(super) fn gradient(
    model: &Fitted,
    images: &Tensor,
    labels: Option<&Tensor>,
    shard: &Shard,
    seed: u64,
    sums: &mut Sums,
) -> Result<(f64, Gradients, Inversion)> {
    let Fitted {
        trainable, device, ..
    } = *model;
    let mut sum = Gradients::new(model.params);
    let runs = shard.runs(device, seed, trainable.config().image.dimensions());
    let runs = side_by_side(device, runs, |(run, noise): (Run, Noise)| {
        let to_device = |batch: &Tensor| Result::Ok(transfer::to_device(&run.of(batch)?, device)?);
        let labels = labels.map(to_device).transpose()?;
        let images = to_device(images)?;
        let noise = noise.draw(images.shape(), device)?;
        forward(model, &images, labels.as_ref(), &noise, sum.none())
    })?;
    let (mut loss, mut residuals_of_runs) = (0.0, Vec::new());
    for (share, grads, residuals) in runs {
        loss += share;
        sum.append([grads])?;
        residuals_of_runs.push(residuals);
    }
    sums.send(&sum)?;

    let mut inversion = Inversion {
        error: 0.0,
        level: 0,
    };
    let mut grads_below = vec![None; residuals_of_runs.len()];
    for (l, level) in trainable.levels.iter().enumerate().rev() {
        let begin = |(residuals, below): (&Residuals, Option<Tensor>)| {
            let grad = &residuals.grads[l];
            let grad = match below {
                Some(below) => (below.pad_with_zeros(1, 0, grad.dim(1)? / 2)? + grad)?,
                None => grad.clone(),
            };
            Result::Ok((residuals.outputs[l].clone(), grad))
        };
        let mut states: Vec<_> = residuals_of_runs
            .iter()
            .zip(grads_below)
            .map(begin)
            .collect::<Result<_>>()?;
        for block in level.blocks().into_iter().rev() {
            let work = states.into_iter().zip(&residuals_of_runs).collect();
            let (back, parts): (Vec<_>, Vec<_>) =
                side_by_side(device, work, |((y, grad_y), residuals): (_, &Residuals)| {
                    let mut part = sum.none();
                    let log_det = &residuals.grad_log_det;
                    let back = block.backward(&y, &grad_y, log_det, &mut part)?;
                    Ok((back, part))
                })?
                .into_iter()
                .unzip();
            states = back;
            let mut of_block = sum.none();
            of_block.append(parts)?;
            sums.send(&of_block)?;
            sum.append([of_block])?;
        }
        for (residuals, (x, _)) in residuals_of_runs.iter().zip(&states) {
            let error = check::distance(x, &residuals.inputs[l])?;
            let error = if error.is_finite() {
                error
            } else {
                f64::INFINITY
            };
            if error > inversion.error {
                inversion = Inversion { error, level: l };
            }
        }
        grads_below = states.into_iter().map(|(_, grad)| Some(grad)).collect();
    }
    if trainable.dequantizer.is_some() {
        let work = residuals_of_runs
            .iter()
            .zip(grads_below.into_iter().flatten());
        let parts = side_by_side(
            device,
            work.collect(),
            |(residuals, grad): (&Residuals, _)| {
                let mut part = sum.none();
                let (x, offset) = trainable.dequantize_with(&residuals.images, &residuals.noise)?;
                part.pull_back(&[(&x, &grad), (&offset, &residuals.grad_log_det)], [])?;
                Ok(part)
            },
        )?;
        let mut of_dequantizer = sum.none();
        of_dequantizer.append(parts)?;
        sums.send(&of_dequantizer)?;
        sum.append([of_dequantizer])?;
    }
    Ok((loss, sum, inversion))
}

/// The share of a run in the bits per dimension, the gradients in the parameters of the priors, which are added to
/// `grads`, and all that the way back needs.
fn forward(
    model: &Fitted,
    images: &Tensor,
    labels: Option<&Tensor>,
    noise: &Tensor,
    mut grads: Gradients,
) -> Result<(f64, Gradients, Residuals)> {
    let (x, offset) = model.frozen.dequantize_with(images, noise)?;
    let (outputs, log_det) = model.frozen.pass_levels(&x)?;
    let leaf = |tensor: &Tensor| Var::from_tensor(tensor);
    let leaves = outputs
        .iter()
        .map(leaf)
        .collect::<candle_core::Result<Vec<_>>>()?;
    // The gradient in one summand is that in the sum.
    let log_det = leaf(&(log_det + &offset)?)?;
    let ends = leaves
        .iter()
        .map(|leaf| leaf.as_tensor().clone())
        .collect::<Vec<_>>();
    let share = model
        .objective
        .share(model.trainable, &ends, log_det.as_tensor(), labels)?;
    let store = share.loss.backward()?;
    grads.add(&store)?;
    let grad_of = |leaf: &Var| match store.get(leaf) {
        Some(grad) => Ok(grad.detach()),
        None => leaf.zeros_like(),
    };
    let mut inputs = vec![x];
    for output in &outputs[..outputs.len() - 1] {
        inputs.push(output.narrow(1, 0, output.dim(1)? / 2)?);
    }
    let residuals = Residuals {
        images: images.clone(),
        noise: noise.clone(),
        inputs,
        grads: leaves
            .iter()
            .map(grad_of)
            .collect::<candle_core::Result<_>>()?,
        grad_log_det: grad_of(&log_det)?,
        outputs,
    };
    Ok((transfer::scalar(&share.bits_per_dim)?, grads, residuals))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, GlowConfig, ImageShape, Memory, TrainSettings, Trainer, UnsoundInversion};
    use candle_core::{DType, Device};
    use flow_core::random;

    /// Of a flow with matrices of high condition, one after the other.
    fn trainer() -> Trainer {
        let config = GlowConfig {
            steps: 4,
            width: 8,
            ..GlowConfig::small(ImageShape::new(1, 8, 8))
        };
        let settings = TrainSettings::default();
        let trainer = Trainer::new(&config, settings, "noise", &Device::Cpu).unwrap();
        for (name, var) in trainer.state.params.vars() {
            if name.ends_with("conv1x1.log_scale") {
                let spread = Tensor::arange(0, var.elem_count() as u32, &Device::Cpu).unwrap();
                let spread = spread.to_dtype(DType::F32).unwrap();
                var.set(&spread.affine(-3.0, 3.0).unwrap()).unwrap();
            }
        }
        trainer
    }

    #[test]
    fn a_flow_that_cannot_be_inverted_is_noticed() {
        let images = random::uniform(5, (20, 1, 8, 8), DType::F32, &Device::Cpu).unwrap();
        let images = (images * 255.0).unwrap().to_dtype(DType::U8).unwrap();
        let mut trainer = trainer();
        let plain = trainer.gradient(&images, None).unwrap();
        trainer.set_memory(Memory::Constant, UnsoundInversion::Plain);
        let instead = trainer.gradient(&images, None).unwrap();
        assert!(!instead.inversion().unwrap().is_sound());
        for (name, _, expected) in plain.gradients().iter() {
            let actual = instead.gradients().get(name).unwrap();
            check::close(actual, expected, 0.0).unwrap();
        }
        trainer.set_memory(Memory::Constant, UnsoundInversion::Stop);
        let Err(Error::UnsoundInversion { step: 0, inversion }) = trainer.gradient(&images, None)
        else {
            panic!("the inversion is as bad as before");
        };
        assert_eq!(Some(inversion), instead.inversion());
    }
}
