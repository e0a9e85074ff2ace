//! Gradient of a batch without stored activations: each block recovers its input from its output.
//!
//! The forward pass records no graph, and keeps only the output of each level. In the backward
//! pass, all runs of the batch pass a block before any continues. So only one block's graph and one
//! gradient exist at a time (arXiv:1807.03039, section 3;
//! [`Bijection::backward`](flow_core::Bijection::backward)). Every level begins with its true
//! output, so errors of inversion do not add up over levels. It ends with a comparison of the
//! recovered input with the true one.

use super::all_reduce::Sums;
use super::objective::Fitted;
use super::shard::{Noise, Shard};
use crate::Result;
use crate::runs::{Run, side_by_side};
use candle_core::{Tensor, Var};
use flow_core::train::{Data, Inversion, Returning, backward_in_step};
use flow_core::{Gradients, transfer};

/// Residuals of the forward pass of a run, for the backward pass.
struct Residuals {
    /// Pixels and contexts, and the uniform numbers of the dequantisation noise.
    data: Data,
    noise: Tensor,
    /// Inputs of the levels.
    inputs: Vec<Tensor>,
    /// Latents that the levels factored out.
    latents: Vec<Tensor>,
    /// Gradients with respect to these latents.
    grads: Vec<Tensor>,
    grad_log_det: Tensor,
}

impl Residuals {
    /// The true output of level `l`, with the gradient that the level `above` returned for the part
    /// that it took.
    fn output(&self, l: usize, above: Option<Returning>) -> candle_core::Result<Returning> {
        let (latent, grad) = (&self.latents[l], &self.grads[l]);
        let (x, grad) = match above {
            Some(above) => (
                Tensor::cat(&[&self.inputs[l + 1], latent], 1)?,
                Tensor::cat(&[&above.grad, grad], 1)?,
            ),
            None => (latent.clone(), grad.clone()),
        };
        Ok(Returning {
            x,
            grad,
            grad_log_det: self.grad_log_det.clone(),
        })
    }
}

/// As [`batch::gradient`](super::batch::gradient), with the error of the inversion. Each part of
/// the gradient is added to `sums` as soon as it is final.
pub(super) fn gradient(
    model: &Fitted,
    data: &Data,
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
        let data = data.of(&run)?.on(device)?;
        let noise = noise.draw(data.samples().shape(), device)?;
        forward(model, data, noise, sum.none())
    })?;
    let (mut loss, mut runs_residuals) = (0.0, Vec::new());
    for (share, grads, residuals) in runs {
        loss += share;
        sum.append([grads])?;
        runs_residuals.push(residuals);
    }
    sums.send(&sum)?;
    let none = sum.none();
    let mut take = |parts: Vec<Gradients>| {
        let mut part = none.none();
        part.append(parts)?;
        sums.send(&part)?;
        Result::Ok(sum.append([part])?)
    };
    let (inversion, grads) = backward(model, &runs_residuals, &none, &mut take)?;
    if trainable.dequantizer.is_some() {
        let work = runs_residuals.iter().zip(grads).collect();
        take(side_by_side(
            device,
            work,
            |(residuals, grad): (&Residuals, Tensor)| {
                let mut part = none.none();
                let images = residuals.data.samples();
                let (x, offset) = trainable.dequantize_with(images, &residuals.noise)?;
                part.pull_back(&[(&x, &grad), (&offset, &residuals.grad_log_det)], [])?;
                Ok(part)
            },
        )?)?;
    }
    Ok((loss, sum, inversion))
}

/// Takes all runs back through the levels, each from its true output. `take` receives the gradients
/// of each part, run by run. Returns the gradients with respect to the inputs of the first level.
fn backward(
    model: &Fitted,
    runs: &[Residuals],
    none: &Gradients,
    take: &mut impl FnMut(Vec<Gradients>) -> Result<()>,
) -> Result<(Inversion, Vec<Tensor>)> {
    let mut inversion = Inversion::default();
    let mut above: Vec<Option<Returning>> = runs.iter().map(|_| None).collect();
    for (l, level) in model.trainable.levels().levels().iter().enumerate().rev() {
        let bound = runs.iter().map(|run| run.data.given(level));
        let bound = bound.collect::<candle_core::Result<Vec<_>>>()?;
        let maps = bound.iter().map(|level| &**level).collect::<Vec<_>>();
        let outputs = runs.iter().zip(above);
        let outputs = outputs.map(|(run, above)| run.output(l, above));
        let outputs = outputs.collect::<candle_core::Result<Vec<_>>>()?;
        let inputs = backward_in_step(model.device, &maps, outputs, none, take)?;
        for (run, input) in runs.iter().zip(&inputs) {
            inversion.compare(&input.x, &run.inputs[l], l)?;
        }
        above = inputs.into_iter().map(Some).collect();
    }
    let grads = above.into_iter().flatten().map(|input| input.grad);
    Ok((inversion, grads.collect()))
}

/// A run's share of the bits per dimension, and its residuals. Gradients with respect to the
/// parameters of the priors are added to `grads`.
fn forward(
    model: &Fitted,
    data: Data,
    noise: Tensor,
    mut grads: Gradients,
) -> Result<(f64, Gradients, Residuals)> {
    let (x, offset) = model.frozen.dequantize_with(data.samples(), &noise)?;
    let levels = model
        .frozen
        .levels()
        .map_levels(|level| data.given(level))?;
    let outputs = levels.outputs(&x)?;
    let last = outputs.last().expect("a model has a level");
    // The gradient with respect to a summand equals that with respect to the sum.
    let log_det = Var::from_tensor(&(&last.log_det + offset)?)?;
    let (mut inputs, mut latents) = (vec![x], Vec::with_capacity(outputs.len()));
    for output in outputs {
        inputs.extend(output.passed_on);
        latents.push(output.latent);
    }
    let shapes = levels.latent_shapes();
    let y = Var::from_tensor(&shapes.join(&latents)?)?;
    let share =
        model
            .objective
            .share(model.trainable, &data, y.as_tensor(), log_det.as_tensor())?;
    let one = share.loss.ones_like()?;
    let [grad_y, grad_log_det] = grads.pull_back(&[(&share.loss, &one)], [&y, &log_det])?;
    let residuals = Residuals {
        grads: shapes.split(&grad_y)?,
        grad_log_det,
        data,
        noise,
        inputs,
        latents,
    };
    Ok((transfer::scalar(&share.bits_per_dim)?, grads, residuals))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, GlowConfig, ImageShape, TrainSettings, Trainer, UnsoundInversion};
    use candle_core::{DType, Device};
    use flow_core::train::Memory;
    use flow_core::{check, random};

    /// The trainer of a flow whose matrices have a high condition number.
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
        let plain = trainer.gradient(&images).unwrap();
        trainer.set_memory(Memory::Constant, UnsoundInversion::Plain);
        let instead = trainer.gradient(&images).unwrap();
        assert!(!instead.inversion().unwrap().is_sound());
        for (name, _, expected) in plain.gradients().iter() {
            let actual = instead.gradients().get(name).unwrap();
            check::close(actual, expected, 0.0).unwrap();
        }
        trainer.set_memory(Memory::Constant, UnsoundInversion::Stop);
        let Err(Error::UnsoundInversion { step: 0, inversion }) = trainer.gradient(&images) else {
            panic!("the inversion is as bad as before");
        };
        assert_eq!(Some(inversion), instead.inversion());
    }
}
