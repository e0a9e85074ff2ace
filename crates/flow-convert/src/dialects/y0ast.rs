//! y0ast/Glow-PyTorch, and programs that descend from it.
//!
//! Layers stand in one list: of each level a squeeze, the steps and, but for the last level, a
//! split. Hidden convolutions have an ActNorm instead of a bias. Shifts and means are even rows,
//! scales odd ones.

use anyhow::{Result, bail, ensure};
use candle_core::Tensor;
use flow_glow::{
    Conv1x1Form, Conventions, Coupling, GlowConfig, Preprocessing, PriorForm, ScaleMap,
};

use super::layers::{coupling, read_actnorm, read_plu, read_zero_conv};
use crate::facts::Facts;
use crate::matrix;
use crate::parameters::{Model, Parameters, Rows, scaled_rows};
use crate::source::Source;

/// Learning rate of the gain of a layer that starts at zero, relative to its weights'.
const GAIN_RATE: f64 = 3.0;

/// The tensor by which its models are known.
pub(super) const FIRST_TENSOR: [&str; 1] = ["flow.layers.1.actnorm.bias"];

/// A model from its state dict.
pub(super) fn read(source: &mut Source, facts: &Facts) -> Result<Model> {
    let is_step = |layer: &usize| source.has(&format!("flow.layers.{layer}.actnorm.bias"));
    let layers = source.indices("flow.layers.");
    let steps = (1..=layers.len()).take_while(is_step).count();
    let splits = layers.iter().filter(|layer| !is_step(layer)).count();
    let levels = splits + 1;
    let [_, channels, _, _] = source.shape("flow.layers.1.actnorm.bias")?;
    ensure!(
        channels % 4 == 0,
        "{channels} channels in the first step are no squeezed image's"
    );
    let first = "flow.layers.1";
    let [width, ..] = source.shape::<4>(&format!("{first}.block.0.conv.weight"))?;
    let [outputs, ..] = source.shape::<4>(&format!("{first}.block.4.conv.weight"))?;
    facts.check(levels, steps, width)?;
    let is_plain = source.has(&format!("{first}.invconv.weight"));
    if !is_plain && !source.has(&format!("{first}.invconv.p")) {
        bail!(
            "it permutes channels without a convolution, and by which permutation is not in the file"
        );
    }
    let sides = source
        .has("prior_h")
        .then(|| source.shape("prior_h"))
        .transpose()?;
    let sides = sides.map(|[_, _, h, w]: [usize; 4]| [h << levels.min(30), w << levels.min(30)]);
    source.skip("prior_h");
    let classes = source.has("project_ycond.linear.weight");
    let classes = classes
        .then(|| source.shape("project_ycond.linear.weight"))
        .transpose()?;
    let classes = classes.map(|[_, classes]: [usize; 2]| classes);
    let config = GlowConfig {
        levels,
        steps,
        width,
        coupling: coupling(outputs, channels),
        scale_map: ScaleMap::Sigmoid,
        preprocessing: facts.preprocessing(Preprocessing::Centered),
        bits: facts.bits(),
        classes,
        conventions: Conventions {
            conv1x1: if is_plain {
                Conv1x1Form::Plain
            } else {
                Conv1x1Form::RotationLowerUpper
            },
            split_prior: PriorForm::Convolution,
            top_prior: PriorForm::Channel,
            ..Conventions::default()
        },
        ..GlowConfig::small(facts.image(channels / 4, sides)?)
    };
    config.validate()?;

    let mut parameters = Parameters::default();
    for level in 0..levels {
        let channels = channels << level;
        let start = level * (steps + 2);
        for step in 0..steps {
            let from = format!("flow.layers.{}", start + 1 + step);
            let to = format!("levels.{level}.steps.{step}");
            let actnorm = format!("{from}.actnorm");
            read_actnorm(source, &mut parameters, [&actnorm, &to], channels)?;
            read_conv1x1(source, &mut parameters, [&from, &to], channels)?;
            read_network(source, &mut parameters, [&from, &to], channels, &config)?;
        }
        if level + 1 < levels {
            let from = format!("flow.layers.{}.conv", start + 1 + steps);
            let to = format!("levels.{level}.split.conv");
            let rows = Some(Rows::EvenOdd);
            read_zero_conv(
                source,
                &mut parameters,
                [&from, &to],
                [channels / 2, channels],
                ("logs", &[channels, 1, 1]),
                rows,
            )?;
        }
    }
    read_top_prior(source, &mut parameters, channels << (levels - 1), classes)?;
    // It guesses the class from the latents, and has no part in the density.
    for name in ["linear.weight", "linear.bias", "logs"] {
        source.skip(&format!("project_class.{name}"));
    }
    Ok(Model { config, parameters })
}

fn read_conv1x1(
    source: &mut Source,
    parameters: &mut Parameters,
    [from, to]: [&str; 2],
    channels: usize,
) -> Result<()> {
    let (from, to) = (format!("{from}.invconv"), format!("{to}.conv1x1"));
    if let Ok(weight) = source.take(&format!("{from}.weight"), &[channels, channels]) {
        parameters.put(format!("{to}.weight"), weight);
        return Ok(());
    }
    let plu = read_plu(
        source,
        &from,
        ["p", "lower", "upper", "log_s", "sign_s"],
        channels,
    )?;
    parameters.put_qlu(&to, &plu.into_qlu(&vec![1.0; channels])?)
}

fn read_network(
    source: &mut Source,
    parameters: &mut Parameters,
    [from, to]: [&str; 2],
    channels: usize,
    config: &GlowConfig,
) -> Result<()> {
    let (inputs, width) = (channels / 2, config.width);
    let (from, to) = (format!("{from}.block"), format!("{to}.coupling.network"));
    // (x + bias)·e^logs, after a convolution without a bias.
    let mut hidden = |layer: usize, shape: [usize; 4]| -> Result<(Tensor, Tensor)> {
        let layer = format!("{from}.{layer}");
        let each = [1, width, 1, 1];
        let scale = source
            .take(&format!("{layer}.actnorm.logs"), &each)?
            .exp()?;
        let bias = (source.take(&format!("{layer}.actnorm.bias"), &each)? * &scale)?;
        let weight = source.take(&format!("{layer}.conv.weight"), &shape)?;
        Ok((scaled_rows(&weight, &scale)?, bias.flatten_all()?))
    };
    let (weight1, bias1) = hidden(0, [width, inputs, 3, 3])?;
    let (weight2, bias2) = hidden(2, [width, width, 1, 1])?;
    parameters.put(format!("{to}.conv1.weight"), weight1);
    parameters.put(format!("{to}.conv1.bias"), bias1);
    parameters.put(
        format!("{to}.conv2.weight"),
        weight2.reshape((width, width))?,
    );
    parameters.put(format!("{to}.conv2.bias"), bias2);
    let (outputs, rows) = match config.coupling {
        Coupling::Affine => (channels, Some(Rows::EvenOdd)),
        Coupling::Additive => (channels - inputs, None),
    };
    let (from, to) = (format!("{from}.4"), format!("{to}.conv3"));
    let gain = ("logs", &[outputs, 1, 1][..]);
    read_zero_conv(
        source,
        parameters,
        [&from, &to],
        [width, outputs],
        gain,
        rows,
    )
}

/// A convolution of zeros between zeros is its bias; a class adds a column to it. Means come first
/// here.
fn read_top_prior(
    source: &mut Source,
    parameters: &mut Parameters,
    channels: usize,
    classes: Option<usize>,
) -> Result<()> {
    let outputs = 2 * channels;
    let mut gaussian = matrix::zeros_tensor(&[1, outputs])?;
    if source.has("learn_top_fn.conv.bias") {
        source.take("learn_top_fn.conv.weight", &[outputs, outputs, 3, 3])?;
        let bias = source.take("learn_top_fn.conv.bias", &[outputs])?;
        let logs = source
            .take("learn_top_fn.logs", &[outputs, 1, 1])?
            .flatten_all()?;
        gaussian = (bias * (logs * GAIN_RATE)?.exp()?)?.unsqueeze(0)?;
    }
    parameters.put("prior.gaussian".to_owned(), gaussian);
    if let Some(classes) = classes {
        let gain = (source.take("project_ycond.logs", &[outputs])? * GAIN_RATE)?.exp()?;
        let weight = source.take("project_ycond.linear.weight", &[outputs, classes])?;
        let bias = source.take("project_ycond.linear.bias", &[outputs])?;
        let table = weight.t()?.broadcast_add(&bias)?.broadcast_mul(&gain)?;
        parameters.put("prior.class_gaussian".to_owned(), table);
    }
    Ok(())
}
