//! rosinality/glow-pytorch.
//!
//! ActNorm's scale is a plain number, which may be negative: its sign goes to the columns of the
//! 1×1 convolution. The last convolution of a coupling gives the scale first, then the shift.

mod write;

use anyhow::{Result, ensure};
use flow_glow::{Conventions, Coupling, GlowConfig, Padding, Preprocessing, PriorForm, ScaleMap};

use super::conv1x1_form;
use super::layers::{coupling, read_hidden_convs, read_plu, read_zero_conv};
use crate::facts::Facts;
use crate::matrix;
use crate::parameters::{Model, Parameters, Rows};
use crate::source::Source;

pub(super) use write::write;

/// The tensor by which its models are known.
pub(super) const FIRST_TENSOR: [&str; 1] = ["blocks.0.flows.0.actnorm.loc"];

/// A model from its state dict.
pub(super) fn read(source: &mut Source, facts: &Facts) -> Result<Model> {
    let levels = source.indices("blocks.").len();
    let steps = source.indices("blocks.0.flows.").len();
    let [_, channels, _, _] = source.shape("blocks.0.flows.0.actnorm.loc")?;
    ensure!(
        channels % 4 == 0,
        "{channels} channels in the first step are no squeezed image's"
    );
    let network = "blocks.0.flows.0.coupling.net";
    let [width, ..] = source.shape::<4>(&format!("{network}.0.weight"))?;
    let [outputs, ..] = source.shape::<4>(&format!("{network}.4.conv.weight"))?;
    facts.check(levels, steps, width)?;
    let is_plain = |level: usize| source.has(&format!("blocks.{level}.flows.0.invconv.weight"));
    let conv1x1 = conv1x1_form(is_plain(0), is_plain(levels.max(1) - 1))?;
    let config = GlowConfig {
        levels,
        steps,
        width,
        coupling: coupling(outputs, channels),
        scale_map: ScaleMap::Sigmoid,
        preprocessing: facts.preprocessing(Preprocessing::Centered),
        bits: facts.bits(),
        classes: None,
        conventions: Conventions {
            conv1x1,
            padding: Padding::Ones,
            top_prior: PriorForm::Convolution,
            ..Conventions::default()
        },
        ..GlowConfig::small(facts.image(channels / 4, None)?)
    };
    config.validate()?;

    let mut parameters = Parameters::default();
    for level in 0..levels {
        let channels = channels << level;
        for step in 0..steps {
            let from = format!("blocks.{level}.flows.{step}");
            let to = format!("levels.{level}.steps.{step}");
            let signs = read_actnorm(source, &mut parameters, [&from, &to], channels)?;
            read_conv1x1(source, &mut parameters, [&from, &to], &signs)?;
            read_network(source, &mut parameters, [&from, &to], channels, &config)?;
        }
        let last = level + 1 == levels;
        let (inputs, to) = if last {
            (channels, "prior.conv".to_owned())
        } else {
            (channels / 2, format!("levels.{level}.split.conv"))
        };
        let from = format!("blocks.{level}.prior");
        read_zero_conv(
            source,
            &mut parameters,
            [&from, &to],
            [inputs, 2 * inputs],
            ("scale", &[1, 2 * inputs, 1, 1]),
            None,
        )?;
    }
    Ok(Model { config, parameters })
}

/// Also the signs of its scale.
fn read_actnorm(
    source: &mut Source,
    parameters: &mut Parameters,
    [from, to]: [&str; 2],
    channels: usize,
) -> Result<Vec<f64>> {
    let shape = [1, channels, 1, 1];
    let scale = source.take(&format!("{from}.actnorm.scale"), &shape)?;
    let signs: Vec<f64> = scale.flatten_all()?.to_vec1()?;
    ensure!(
        !signs.contains(&0.0),
        "`{from}.actnorm.scale` holds a zero, which has no inverse"
    );
    parameters.put(format!("{to}.actnorm.log_scale"), scale.abs()?.log()?);
    let shift = source.take(&format!("{from}.actnorm.loc"), &shape)?;
    parameters.put(format!("{to}.actnorm.shift"), shift);
    source.skip_done(&format!("{from}.actnorm.initialized"))?;
    Ok(signs.into_iter().map(f64::signum).collect())
}

fn read_conv1x1(
    source: &mut Source,
    parameters: &mut Parameters,
    [from, to]: [&str; 2],
    signs: &[f64],
) -> Result<()> {
    let (channels, from, to) = (
        signs.len(),
        format!("{from}.invconv"),
        format!("{to}.conv1x1"),
    );
    if source.has(&format!("{from}.weight")) {
        let weight = source.take(&format!("{from}.weight"), &[channels, channels, 1, 1])?;
        let weight = weight.reshape((channels, channels))?;
        let signed = weight.broadcast_mul(&matrix::vector(signs)?.unsqueeze(0)?)?;
        parameters.put(format!("{to}.weight"), signed);
        return Ok(());
    }
    for fixed in ["u_mask", "l_mask", "l_eye"] {
        source.skip(&format!("{from}.{fixed}"));
    }
    let plu = read_plu(
        source,
        &from,
        ["w_p", "w_l", "w_u", "w_s", "s_sign"],
        channels,
    )?;
    parameters.put_qlu(&to, &plu.into_qlu(signs)?)
}

fn read_network(
    source: &mut Source,
    parameters: &mut Parameters,
    [from, to]: [&str; 2],
    channels: usize,
    config: &GlowConfig,
) -> Result<()> {
    let (inputs, width) = (channels / 2, config.width);
    let (from, to) = (
        format!("{from}.coupling.net"),
        format!("{to}.coupling.network"),
    );
    read_hidden_convs(source, parameters, [&from, &to], [inputs, width])?;
    let (outputs, rows) = match config.coupling {
        Coupling::Affine => (channels, Some(Rows::SecondFirst)),
        Coupling::Additive => (channels - inputs, None),
    };
    let (from, to) = (format!("{from}.4"), format!("{to}.conv3"));
    let gain = ("scale", &[1, outputs, 1, 1][..]);
    read_zero_conv(
        source,
        parameters,
        [&from, &to],
        [width, outputs],
        gain,
        rows,
    )
}
