//! y0ast/Glow-PyTorch, and programs that descend from it.
//!
//! Layers form one list: for each level a squeeze, the steps and, except in the last level, a
//! split. Hidden convolutions have an ActNorm instead of a bias. Shifts and means are even rows,
//! scales odd ones.

use anyhow::{Result, ensure};
use candle_core::Tensor;
use flow_glow::{
    Conv1x1Form, Conventions, Coupling, GlowConfig, Preprocessing, PriorForm, ScaleMap,
};

use super::layers::{put_hidden_convs, read_actnorm, read_plu, read_zero_conv};
use super::reader::{Dialect, Reader, Sizes};
use crate::facts::Facts;
use crate::matrix;
use crate::parameters::{Rows, scaled_rows};
use crate::source::Source;

/// Learning rate of the gain of a layer that starts at zero, relative to its weights'.
const GAIN_RATE: f64 = 3.0;

/// The tensor by which its models are known.
pub(super) const FIRST_TENSOR: [&str; 1] = ["flow.layers.1.actnorm.bias"];

/// Its models.
pub(super) struct Y0ast;

impl Dialect for Y0ast {
    fn config(source: &mut Source, facts: &Facts) -> Result<(Self, GlowConfig)> {
        let is_step = |layer: &usize| source.has(&format!("flow.layers.{layer}.actnorm.bias"));
        let layers = source.indices("flow.layers.");
        let steps = (1..=layers.len()).take_while(is_step).count();
        let splits = layers.iter().filter(|layer| !is_step(layer)).count();
        let first = "flow.layers.1";
        let [_, channels, _, _] = source.shape(&format!("{first}.actnorm.bias"))?;
        let [width, ..] = source.shape::<4>(&format!("{first}.block.0.conv.weight"))?;
        let [outputs, ..] = source.shape::<4>(&format!("{first}.block.4.conv.weight"))?;
        let last_sides = known(source, "prior_h")?.map(|[_, _, h, w]: [usize; 4]| [h, w]);
        source.skip("prior_h");
        let sizes = Sizes {
            levels: splits + 1,
            steps,
            last_steps: steps,
            width,
            channels,
            outputs,
            last_sides,
        };
        let classes = known(source, "project_ycond.linear.weight")?;
        let classes = classes.map(|[_, classes]: [usize; 2]| classes);
        let config = GlowConfig {
            scale_map: ScaleMap::Sigmoid,
            classes,
            conventions: Conventions {
                conv1x1: conv1x1_form(source, &format!("{first}.invconv"))?,
                split_prior: PriorForm::Convolution,
                top_prior: PriorForm::Channel,
                ..Conventions::default()
            },
            ..sizes.config(facts, Preprocessing::Centered)?
        };
        Ok((Self, config))
    }

    fn step(&self, reader: &mut Reader<'_>, [level, step]: [usize; 2], to: &str) -> Result<()> {
        let from = format!("flow.layers.{}", first_step(reader, level) + step);
        let channels = reader.channels(level);
        read_actnorm(reader, [&format!("{from}.actnorm"), to], channels)?;
        read_conv1x1(reader, [&from, to], channels)?;
        read_network(reader, [&from, to], level)
    }

    fn level_end(&self, reader: &mut Reader<'_>, level: usize) -> Result<()> {
        let channels = reader.channels(level);
        if reader.is_last(level) {
            read_top_prior(reader, channels)?;
            // It guesses the class from the latents, and has no part in the density.
            for name in ["linear.weight", "linear.bias", "logs"] {
                reader.source.skip(&format!("project_class.{name}"));
            }
            return Ok(());
        }
        let split = first_step(reader, level) + reader.config.steps;
        let from = format!("flow.layers.{split}.conv");
        let to = format!("levels.{level}.split.conv");
        let gain = ("logs", &[channels, 1, 1][..]);
        let sizes = [channels / 2, channels];
        read_zero_conv(reader, [&from, &to], sizes, gain, Some(Rows::EvenOdd))
    }
}

/// The layer of the first step of a level: a squeeze and a split stand between two levels.
fn first_step(reader: &Reader<'_>, level: usize) -> usize {
    level * (reader.config.steps + 2) + 1
}

/// The shape of a tensor, if it is there.
fn known<const N: usize>(source: &Source, name: &str) -> Result<Option<[usize; N]>> {
    source.has(name).then(|| source.shape(name)).transpose()
}

fn conv1x1_form(source: &Source, first: &str) -> Result<Conv1x1Form> {
    if source.has(&format!("{first}.weight")) {
        return Ok(Conv1x1Form::Plain);
    }
    ensure!(
        source.has(&format!("{first}.p")),
        "it permutes channels without a convolution, and by which permutation is not in the file"
    );
    Ok(Conv1x1Form::RotationLowerUpper)
}

fn read_conv1x1(reader: &mut Reader<'_>, [from, to]: [&str; 2], channels: usize) -> Result<()> {
    let (from, to) = (format!("{from}.invconv"), format!("{to}.conv1x1"));
    if let Ok(weight) = reader.take(&format!("{from}.weight"), &[channels, channels]) {
        reader.put(format!("{to}.weight"), weight);
        return Ok(());
    }
    let plu = read_plu(
        reader.source,
        &from,
        ["p", "lower", "upper", "log_s", "sign_s"],
        channels,
    )?;
    reader
        .parameters
        .put_qlu(&to, &plu.into_qlu(&vec![1.0; channels])?)
}

fn read_network(reader: &mut Reader<'_>, [from, to]: [&str; 2], level: usize) -> Result<()> {
    let (inputs, width) = (reader.channels(level) / 2, reader.config.width);
    let (from, to) = (format!("{from}.block"), format!("{to}.coupling.network"));
    // (x + bias)·e^logs, after a convolution without a bias.
    let mut hidden = |layer: usize, shape: [usize; 4]| -> Result<(Tensor, Tensor)> {
        let layer = format!("{from}.{layer}");
        let each = [1, width, 1, 1];
        let scale = reader
            .take(&format!("{layer}.actnorm.logs"), &each)?
            .exp()?;
        let bias = (reader.take(&format!("{layer}.actnorm.bias"), &each)? * &scale)?;
        let weight = reader.take(&format!("{layer}.conv.weight"), &shape)?;
        Ok((scaled_rows(&weight, &scale)?, bias.flatten_all()?))
    };
    let convs = [
        hidden(0, [width, inputs, 3, 3])?,
        hidden(2, [width, width, 1, 1])?,
    ];
    put_hidden_convs(reader, &to, convs)?;
    let outputs = reader.outputs(level);
    let rows = (reader.config.coupling == Coupling::Affine).then_some(Rows::EvenOdd);
    let (from, to) = (format!("{from}.4"), format!("{to}.conv3"));
    let gain = ("logs", &[outputs, 1, 1][..]);
    read_zero_conv(reader, [&from, &to], [width, outputs], gain, rows)
}

/// A convolution of zeros between zeros is its bias; a class adds a column to it. Means come first
/// here.
fn read_top_prior(reader: &mut Reader<'_>, channels: usize) -> Result<()> {
    let outputs = 2 * channels;
    let mut gaussian = matrix::zeros_tensor(&[1, outputs])?;
    if reader.source.has("learn_top_fn.conv.bias") {
        reader.take("learn_top_fn.conv.weight", &[outputs, outputs, 3, 3])?;
        let bias = reader.take("learn_top_fn.conv.bias", &[outputs])?;
        let logs = reader
            .take("learn_top_fn.logs", &[outputs, 1, 1])?
            .flatten_all()?;
        gaussian = (bias * (logs * GAIN_RATE)?.exp()?)?.unsqueeze(0)?;
    }
    reader.put("prior.gaussian".to_owned(), gaussian);
    if let Some(classes) = reader.config.classes {
        let gain = (reader.take("project_ycond.logs", &[outputs])? * GAIN_RATE)?.exp()?;
        let weight = reader.take("project_ycond.linear.weight", &[outputs, classes])?;
        let bias = reader.take("project_ycond.linear.bias", &[outputs])?;
        let table = weight.t()?.broadcast_add(&bias)?.broadcast_mul(&gain)?;
        reader.put("prior.class_gaussian".to_owned(), table);
    }
    Ok(())
}
