//! normflows: a `MultiscaleFlow` of `GlowBlock`s.
//!
//! Its flows map latents to data, so that levels and blocks stand in the opposite order: level 0 is
//! the deepest, and data pass the blocks of a level from the last to the first. ActNorm and the
//! shift of couplings have the opposite sign.

mod base;
mod write;

use anyhow::{Result, ensure};
use candle_core::Tensor;
use flow_core::Passing;
use flow_glow::{Conventions, Coupling, GlowConfig, Preprocessing, ScaleMap};

use super::conv1x1_form;
use super::layers::{coupling, read_plu};
use crate::facts::Facts;
use crate::fold;
use crate::matrix;
use crate::parameters::{Model, Parameters, Rows, negated, scaled_rows};
use crate::source::Source;
use base::{Base, read_base};

pub(super) use write::write;

/// The scale maps of its couplings, its default first.
const SCALE_MAPS: [ScaleMap; 3] = [ScaleMap::Sigmoid, ScaleMap::Exp, ScaleMap::SigmoidInverse];

/// The channels that pass its couplings, its default first.
const PASSING: [Passing; 2] = [Passing::FirstHalf, Passing::SecondHalf];

/// The tensor by which its models are known.
pub(super) const FIRST_TENSOR: [&str; 1] = ["flows.0.0.flows.0.flows.1.param_map.net.0.weight"];

/// A model from its state dict.
pub(super) fn read(source: &mut Source, facts: &Facts) -> Result<Model> {
    let levels = source.indices("flows.").len();
    let steps = source.indices("flows.0.").len();
    ensure!(levels > 0, "tensor `flows.0.0.flows.2.s` is missing");
    let first = format!("flows.{}.0.flows", levels - 1);
    let [_, channels, _, _] = source.shape(&format!("{first}.2.s"))?;
    ensure!(
        channels % 4 == 0,
        "{channels} channels at the first level are no squeezed image's"
    );
    let network = format!("{first}.0.flows.1.param_map.net");
    let [width, inputs, ..] = source.shape::<4>(&format!("{network}.0.weight"))?;
    ensure!(
        2 * inputs == channels,
        "its networks see {inputs} of {channels} channels: only the split modes `channel` and `channel_inv` are read"
    );
    let layers = Layers::of(source, &network);
    let [outputs, ..] = source.shape::<4>(&format!("{network}.{}.weight", layers.last))?;
    facts.check(levels, steps, width)?;
    let bases = (0..levels)
        .map(|level| Base::of(source, level))
        .collect::<Result<Vec<_>>>()?;
    let classes = bases.iter().filter_map(|base| base.classes).max();
    let sides = bases[0]
        .sides
        .map(|[h, w]| [h << levels.min(30), w << levels.min(30)]);
    let is_plain = |level: usize| source.has(&format!("flows.{level}.0.flows.1.W"));
    let conv1x1 = conv1x1_form(is_plain(levels - 1), is_plain(0))?;
    let config = GlowConfig {
        levels,
        steps,
        width,
        coupling: coupling(outputs, channels),
        scale_map: facts.scale_map(&SCALE_MAPS)?,
        preprocessing: facts.preprocessing(Preprocessing::Unit),
        bits: facts.bits(),
        classes,
        conventions: Conventions {
            conv1x1,
            passing: facts.passing(&PASSING)?,
            split_prior: Base::common(&bases[1..])?.unwrap_or(bases[0].form),
            top_prior: bases[0].form,
            ..Conventions::default()
        },
        ..GlowConfig::small(facts.image(channels / 4, sides)?)
    };
    config.validate()?;

    let mut parameters = Parameters::default();
    for level in 0..levels {
        let deepest = levels - 1 - level;
        let channels = channels << level;
        for step in 0..steps {
            let from = format!("flows.{deepest}.{}.flows", steps - 1 - step);
            let to = format!("levels.{level}.steps.{step}");
            let shape = [1, channels, 1, 1];
            for (theirs, ours) in [("s", "log_scale"), ("t", "shift")] {
                let value = source.take(&format!("{from}.2.{theirs}"), &shape)?;
                parameters.put(format!("{to}.actnorm.{ours}"), value.neg()?);
            }
            source.skip_done(&format!("{from}.2.data_dep_init_done"))?;
            read_conv1x1(source, &mut parameters, [&from, &to], channels)?;
            read_network(
                source,
                &mut parameters,
                [&from, &to],
                channels,
                &config,
                layers,
            )?;
        }
        let last = level + 1 == levels;
        let to = if last {
            "prior".to_owned()
        } else {
            format!("levels.{level}.split")
        };
        let shape = fold::latent_shape(&config, level);
        let from = format!("q0.{deepest}");
        let of_level = bases[deepest].classes;
        let gaussian = read_base(source, &mut parameters, [&from, &to], shape, of_level)?;
        // Not every level has to depend on the class.
        if let (Some(classes), None) = (classes, of_level) {
            let mut shape = gaussian.dims().to_vec();
            shape[0] = classes;
            parameters.put(
                format!("{to}.class_gaussian"),
                matrix::zeros_tensor(&shape)?,
            );
        }
    }
    Ok(Model { config, parameters })
}

/// Places of a network's layers in its list, which may have ActNorms in it.
#[derive(Clone, Copy)]
struct Layers {
    has_actnorm: bool,
    second: usize,
    last: usize,
}

impl Layers {
    fn of(source: &Source, network: &str) -> Self {
        let has_actnorm = source.has(&format!("{network}.1.actNorm.s"));
        let (second, last) = if has_actnorm { (3, 6) } else { (2, 4) };
        Self {
            has_actnorm,
            second,
            last,
        }
    }
}

fn read_conv1x1(
    source: &mut Source,
    parameters: &mut Parameters,
    [from, to]: [&str; 2],
    channels: usize,
) -> Result<()> {
    let (from, to) = (format!("{from}.1"), format!("{to}.conv1x1"));
    if let Ok(weight) = source.take(&format!("{from}.W"), &[channels, channels]) {
        parameters.put(format!("{to}.weight"), weight);
        return Ok(());
    }
    source.skip(&format!("{from}.eye"));
    let plu = read_plu(source, &from, ["P", "L", "U", "log_S", "sign_S"], channels)?;
    parameters.put_qlu(&to, &plu.into_qlu(&vec![1.0; channels])?)
}

fn read_network(
    source: &mut Source,
    parameters: &mut Parameters,
    [from, to]: [&str; 2],
    channels: usize,
    config: &GlowConfig,
    layers: Layers,
) -> Result<()> {
    let (inputs, width) = (channels / 2, config.width);
    let (from, to) = (
        format!("{from}.0.flows.1.param_map.net"),
        format!("{to}.coupling.network"),
    );
    let mut hidden = |layer: usize, shape: [usize; 4]| -> Result<(Tensor, Tensor)> {
        let weight = source.take(&format!("{from}.{layer}.weight"), &shape)?;
        if !layers.has_actnorm {
            return Ok((
                weight,
                source.take(&format!("{from}.{layer}.bias"), &[width])?,
            ));
        }
        // x·e^s + t, after a convolution without a bias.
        let actnorm = format!("{from}.{}.actNorm", layer + 1);
        source.skip_done(&format!("{actnorm}.data_dep_init_done"))?;
        let scale = source
            .take(&format!("{actnorm}.s"), &[1, width, 1, 1])?
            .exp()?;
        let shift = source.take(&format!("{actnorm}.t"), &[1, width, 1, 1])?;
        Ok((scaled_rows(&weight, &scale)?, shift.flatten_all()?))
    };
    let (weight1, bias1) = hidden(0, [width, inputs, 3, 3])?;
    let (weight2, bias2) = hidden(layers.second, [width, width, 1, 1])?;
    parameters.put(format!("{to}.conv1.weight"), weight1);
    parameters.put(format!("{to}.conv1.bias"), bias1);
    parameters.put(
        format!("{to}.conv2.weight"),
        weight2.reshape((width, width))?,
    );
    parameters.put(format!("{to}.conv2.bias"), bias2);
    let outputs = match config.coupling {
        Coupling::Affine => channels,
        Coupling::Additive => channels - inputs,
    };
    let weight = source.take(
        &format!("{from}.{}.weight", layers.last),
        &[outputs, width, 3, 3],
    )?;
    let bias = source.take(&format!("{from}.{}.bias", layers.last), &[outputs])?;
    let gain = bias.zeros_like()?;
    let ours = |tensor: Tensor| match config.coupling {
        Coupling::Affine => negated(&Rows::EvenOdd.ours(&tensor)?, negates_scale(config)),
        Coupling::Additive => negated(&tensor, true),
    };
    parameters.put(format!("{to}.conv3.weight"), ours(weight)?);
    parameters.put(format!("{to}.conv3.bias"), ours(bias)?);
    parameters.put(format!("{to}.conv3.log_gain"), gain);
    Ok(())
}

/// Its `exp` divides data by e^raw.
fn negates_scale(config: &GlowConfig) -> bool {
    matches!(config.scale_map, ScaleMap::Exp | ScaleMap::ExpTanh { .. })
}
