//! chrischute/glow, once it is trained: its batch normalisation as it is in evaluation.
//!
//! The second half of the channels passes; the network normalises and cuts off at zero before its
//! first convolution too; the scale is exp(γ·tanh s) with a learned γ for each channel; latents
//! have no learned prior.

use anyhow::{Result, ensure};
use candle_core::Tensor;
use flow_core::Passing;
use flow_glow::{
    Conv1x1Form, Conventions, Coupling, GlowConfig, NetworkInput, Preprocessing, PriorForm,
    ScaleMap,
};

use super::layers::read_actnorm;
use crate::facts::Facts;
use crate::matrix;
use crate::parameters::{Model, Parameters, Rows, scaled_rows};
use crate::source::Source;

/// Offset that PyTorch's batch normalisation adds to a variance.
const EPSILON: f64 = 1e-5;

/// The tensor by which its models are known.
pub(super) const FIRST_TENSOR: [&str; 1] = ["flows.steps.0.coup.scale"];

/// A model from its state dict.
pub(super) fn read(source: &mut Source, facts: &Facts) -> Result<Model> {
    let prefix = |level: usize| format!("flows.{}steps.", "next.".repeat(level));
    let mut levels = 0;
    while !source.indices(&prefix(levels)).is_empty() {
        levels += 1;
    }
    let steps = source.indices(&prefix(0)).len();
    let [channels, _] = source.shape("flows.steps.0.conv.weight")?;
    ensure!(
        channels % 4 == 0,
        "{channels} channels in the first step are no squeezed image's"
    );
    let [width, ..] = source.shape::<4>("flows.steps.0.coup.nn.in_conv.weight")?;
    facts.check(levels, steps, width)?;
    let bounds: f64 = source.take("bounds", &[1])?.get(0)?.to_scalar()?;
    let alpha = (1.0 - bounds) / 2.0;
    let config = GlowConfig {
        levels,
        steps,
        width,
        coupling: Coupling::Affine,
        scale_map: ScaleMap::ExpTanhLearned,
        preprocessing: facts.preprocessing(Preprocessing::Logit { alpha }),
        bits: facts.bits(),
        classes: None,
        conventions: Conventions {
            conv1x1: Conv1x1Form::Plain,
            passing: Passing::SecondHalf,
            network_input: NetworkInput::AffineRelu,
            split_prior: PriorForm::Standard,
            top_prior: PriorForm::Standard,
            ..Conventions::default()
        },
        ..GlowConfig::small(facts.image(channels / 4, None)?)
    };
    config.validate()?;

    let mut parameters = Parameters::default();
    for level in 0..levels {
        let channels = channels << level;
        for step in 0..steps {
            let from = format!("{}{step}", prefix(level));
            let to = format!("levels.{level}.steps.{step}");
            let norm = format!("{from}.norm");
            read_actnorm(source, &mut parameters, [&norm, &to], channels)?;
            source.skip(&format!("{from}.norm.is_initialized"));
            let weight = source.take(&format!("{from}.conv.weight"), &[channels, channels])?;
            parameters.put(format!("{to}.conv1x1.weight"), weight);
            read_coupling(source, &mut parameters, [&from, &to], channels, width)?;
        }
    }
    Ok(Model { config, parameters })
}

fn read_coupling(
    source: &mut Source,
    parameters: &mut Parameters,
    [from, to]: [&str; 2],
    channels: usize,
    width: usize,
) -> Result<()> {
    let half = channels / 2;
    let (from, to) = (format!("{from}.coup"), format!("{to}.coupling.network"));
    let bound = source.take(&format!("{from}.scale"), &[half, 1, 1])?;
    parameters.put(format!("{to}.bound"), bound.flatten_all()?);
    let (scale, shift) = batch_norm(source, &format!("{from}.nn.in_norm"), half)?;
    parameters.put(format!("{to}.input.scale"), scale);
    parameters.put(format!("{to}.input.shift"), shift);
    // What follows a convolution without a bias belongs to it.
    let (scale, shift) = batch_norm(source, &format!("{from}.nn.mid_norm"), width)?;
    let weight = source.take(&format!("{from}.nn.in_conv.weight"), &[width, half, 3, 3])?;
    parameters.put(format!("{to}.conv1.weight"), scaled_rows(&weight, &scale)?);
    parameters.put(format!("{to}.conv1.bias"), shift);
    let (scale, shift) = batch_norm(source, &format!("{from}.nn.out_norm"), width)?;
    let weight = source.take(&format!("{from}.nn.mid_conv.weight"), &[width, width, 1, 1])?;
    let weight = scaled_rows(&weight, &scale)?.reshape((width, width))?;
    parameters.put(format!("{to}.conv2.weight"), weight);
    parameters.put(format!("{to}.conv2.bias"), shift);
    // Even rows are those of the scale.
    let weight = source.take(
        &format!("{from}.nn.out_conv.weight"),
        &[channels, width, 3, 3],
    )?;
    parameters.put(format!("{to}.conv3.weight"), Rows::OddEven.ours(&weight)?);
    let bias = source.take(&format!("{from}.nn.out_conv.bias"), &[channels])?;
    parameters.put(format!("{to}.conv3.bias"), Rows::OddEven.ours(&bias)?);
    parameters.put(
        format!("{to}.conv3.log_gain"),
        matrix::zeros_tensor(&[channels])?,
    );
    Ok(())
}

/// Batch normalisation in evaluation: scale and shift of each channel.
fn batch_norm(source: &mut Source, name: &str, channels: usize) -> Result<(Tensor, Tensor)> {
    source.skip(&format!("{name}.num_batches_tracked"));
    let mut take = |part: &str| source.take(&format!("{name}.{part}"), &[channels]);
    let std = (take("running_var")? + EPSILON)?.sqrt()?;
    let scale = (take("weight")? / std)?;
    let shift = (take("bias")? - (take("running_mean")? * &scale)?)?;
    Ok((scale, shift))
}
