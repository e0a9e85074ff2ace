//! chrischute/glow, once it is trained: its batch normalisation as it is in evaluation.
//!
//! The second half of the channels passes; the network normalises and cuts off at zero before its
//! first convolution too; the scale is exp(γ·tanh s) with a learned γ for each channel; latents
//! have no learned prior.

use anyhow::Result;
use candle_core::Tensor;
use flow_core::Passing;
use flow_glow::{
    Conv1x1Form, Conventions, GlowConfig, NetworkInput, Preprocessing, PriorForm, ScaleMap,
};

use super::layers::{put_hidden_convs, read_actnorm};
use super::reader::{Dialect, Reader, Sizes};
use crate::facts::Facts;
use crate::matrix;
use crate::parameters::{Rows, scaled_rows};
use crate::source::Source;

/// Offset that PyTorch's batch normalisation adds to a variance.
const EPSILON: f64 = 1e-5;

/// The tensor by which its models are known.
pub(super) const FIRST_TENSOR: [&str; 1] = ["flows.steps.0.coup.scale"];

/// Its models.
pub(super) struct Chrischute;

impl Dialect for Chrischute {
    fn config(source: &mut Source, facts: &Facts) -> Result<(Self, GlowConfig)> {
        let mut levels = 0;
        while !source.indices(&steps_of(levels)).is_empty() {
            levels += 1;
        }
        let [channels, _] = source.shape("flows.steps.0.conv.weight")?;
        let [width, ..] = source.shape::<4>("flows.steps.0.coup.nn.in_conv.weight")?;
        let steps = source.indices(&steps_of(0)).len();
        let sizes = Sizes {
            levels,
            steps,
            last_steps: steps,
            width,
            channels,
            outputs: channels,
            last_sides: None,
        };
        let bounds: f64 = source.take("bounds", &[1])?.get(0)?.to_scalar()?;
        let alpha = (1.0 - bounds) / 2.0;
        let config = GlowConfig {
            scale_map: ScaleMap::ExpTanhLearned,
            conventions: Conventions {
                conv1x1: Conv1x1Form::Plain,
                passing: Passing::SecondHalf,
                network_input: NetworkInput::AffineRelu,
                split_prior: PriorForm::Standard,
                top_prior: PriorForm::Standard,
                ..Conventions::default()
            },
            ..sizes.config(facts, Preprocessing::Logit { alpha })?
        };
        Ok((Self, config))
    }

    fn step(&self, reader: &mut Reader<'_>, [level, step]: [usize; 2], to: &str) -> Result<()> {
        let from = format!("{}{step}", steps_of(level));
        let channels = reader.channels(level);
        read_actnorm(reader, [&format!("{from}.norm"), to], channels)?;
        reader.source.skip(&format!("{from}.norm.is_initialized"));
        let weight = reader.take(&format!("{from}.conv.weight"), &[channels, channels])?;
        reader.put(format!("{to}.conv1x1.weight"), weight);
        read_coupling(reader, [&from, to], channels)
    }
}

/// Prefix of the steps of a level.
fn steps_of(level: usize) -> String {
    format!("flows.{}steps.", "next.".repeat(level))
}

fn read_coupling(reader: &mut Reader<'_>, [from, to]: [&str; 2], channels: usize) -> Result<()> {
    let (half, width) = (channels / 2, reader.config.width);
    let (from, to) = (format!("{from}.coup"), format!("{to}.coupling.network"));
    let bound = reader.take(&format!("{from}.scale"), &[half, 1, 1])?;
    reader.put(format!("{to}.bound"), bound.flatten_all()?);
    let (scale, shift) = batch_norm(reader.source, &format!("{from}.nn.in_norm"), half)?;
    reader.put(format!("{to}.input.scale"), scale);
    reader.put(format!("{to}.input.shift"), shift);
    // The normalisation behind a convolution without a bias belongs to it.
    let mut conv = |conv: &str, norm: &str, shape: [usize; 4]| -> Result<(Tensor, Tensor)> {
        let (scale, shift) = batch_norm(reader.source, &format!("{from}.nn.{norm}"), width)?;
        let weight = reader.take(&format!("{from}.nn.{conv}.weight"), &shape)?;
        Ok((scaled_rows(&weight, &scale)?, shift))
    };
    let convs = [
        conv("in_conv", "mid_norm", [width, half, 3, 3])?,
        conv("mid_conv", "out_norm", [width, width, 1, 1])?,
    ];
    put_hidden_convs(reader, &to, convs)?;
    // The even rows are the scale's.
    let conv = format!("{from}.nn.out_conv");
    let weight = reader.take(&format!("{conv}.weight"), &[channels, width, 3, 3])?;
    reader.put(format!("{to}.conv3.weight"), Rows::OddEven.ours(&weight)?);
    let bias = reader.take(&format!("{conv}.bias"), &[channels])?;
    reader.put(format!("{to}.conv3.bias"), Rows::OddEven.ours(&bias)?);
    let gain = matrix::zeros_tensor(&[channels])?;
    reader.put(format!("{to}.conv3.log_gain"), gain);
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
