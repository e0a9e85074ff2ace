//! rosinality/glow-pytorch.
//!
//! ActNorm's scale is a plain number, which may be negative: its sign goes to the columns of the
//! 1×1 convolution. The last convolution of a coupling gives the scale first, then the shift.

mod write;

use anyhow::{Result, ensure};
use flow_glow::{Conventions, Coupling, GlowConfig, Padding, Preprocessing, PriorForm, ScaleMap};

use super::conv1x1_form;
use super::layers::{read_hidden_convs, read_plu, read_zero_conv};
use super::reader::{Dialect, Reader, Sizes};
use crate::facts::Facts;
use crate::matrix;
use crate::parameters::Rows;
use crate::source::Source;

pub(super) use write::write;

/// The tensor by which its models are known.
pub(super) const FIRST_TENSOR: [&str; 1] = ["blocks.0.flows.0.actnorm.loc"];

/// Its models.
pub(super) struct Rosinality;

impl Dialect for Rosinality {
    fn config(source: &mut Source, facts: &Facts) -> Result<(Self, GlowConfig)> {
        let levels = source.indices("blocks.").len();
        let steps = source.indices("blocks.0.flows.").len();
        let first = "blocks.0.flows.0";
        let [_, channels, _, _] = source.shape(&format!("{first}.actnorm.loc"))?;
        let [width, ..] = source.shape::<4>(&format!("{first}.coupling.net.0.weight"))?;
        let [outputs, ..] = source.shape::<4>(&format!("{first}.coupling.net.4.conv.weight"))?;
        let sizes = Sizes {
            levels,
            steps,
            last_steps: steps,
            width,
            channels,
            outputs,
            last_sides: None,
        };
        let is_plain = |level: usize| source.has(&format!("blocks.{level}.flows.0.invconv.weight"));
        let config = GlowConfig {
            scale_map: ScaleMap::Sigmoid,
            conventions: Conventions {
                conv1x1: conv1x1_form(is_plain(0), is_plain(levels.max(1) - 1))?,
                padding: Padding::Ones,
                top_prior: PriorForm::Convolution,
                ..Conventions::default()
            },
            ..sizes.config(facts, Preprocessing::Centered)?
        };
        Ok((Self, config))
    }

    fn step(&self, reader: &mut Reader<'_>, [level, step]: [usize; 2], to: &str) -> Result<()> {
        let from = format!("blocks.{level}.flows.{step}");
        let signs = read_actnorm(reader, [&from, to], reader.channels(level))?;
        read_conv1x1(reader, [&from, to], &signs)?;
        read_network(reader, [&from, to], level)
    }

    fn level_end(&self, reader: &mut Reader<'_>, level: usize) -> Result<()> {
        let channels = reader.channels(level);
        let (inputs, to) = if reader.is_last(level) {
            (channels, "prior.conv".to_owned())
        } else {
            (channels / 2, format!("levels.{level}.split.conv"))
        };
        let from = format!("blocks.{level}.prior");
        let gain = ("scale", &[1, 2 * inputs, 1, 1][..]);
        read_zero_conv(reader, [&from, &to], [inputs, 2 * inputs], gain, None)
    }
}

/// Reads an ActNorm. Returns the signs of its scale.
fn read_actnorm(
    reader: &mut Reader<'_>,
    [from, to]: [&str; 2],
    channels: usize,
) -> Result<Vec<f64>> {
    let shape = [1, channels, 1, 1];
    let scale = reader.take(&format!("{from}.actnorm.scale"), &shape)?;
    let signs: Vec<f64> = scale.flatten_all()?.to_vec1()?;
    ensure!(
        !signs.contains(&0.0),
        "`{from}.actnorm.scale` holds a zero, which has no inverse"
    );
    reader.put(format!("{to}.actnorm.log_scale"), scale.abs()?.log()?);
    let shift = reader.take(&format!("{from}.actnorm.loc"), &shape)?;
    reader.put(format!("{to}.actnorm.shift"), shift);
    reader
        .source
        .skip_done(&format!("{from}.actnorm.initialized"))?;
    Ok(signs.into_iter().map(f64::signum).collect())
}

fn read_conv1x1(reader: &mut Reader<'_>, [from, to]: [&str; 2], signs: &[f64]) -> Result<()> {
    let (channels, from, to) = (
        signs.len(),
        format!("{from}.invconv"),
        format!("{to}.conv1x1"),
    );
    if reader.source.has(&format!("{from}.weight")) {
        let weight = reader.take(&format!("{from}.weight"), &[channels, channels, 1, 1])?;
        let weight = weight.reshape((channels, channels))?;
        let signed = weight.broadcast_mul(&matrix::vector(signs)?.unsqueeze(0)?)?;
        reader.put(format!("{to}.weight"), signed);
        return Ok(());
    }
    for fixed in ["u_mask", "l_mask", "l_eye"] {
        reader.source.skip(&format!("{from}.{fixed}"));
    }
    let plu = read_plu(
        reader.source,
        &from,
        ["w_p", "w_l", "w_u", "w_s", "s_sign"],
        channels,
    )?;
    reader.parameters.put_qlu(&to, &plu.into_qlu(signs)?)
}

fn read_network(reader: &mut Reader<'_>, [from, to]: [&str; 2], level: usize) -> Result<()> {
    let (inputs, width) = (reader.channels(level) / 2, reader.config.width);
    let (from, to) = (
        format!("{from}.coupling.net"),
        format!("{to}.coupling.network"),
    );
    read_hidden_convs(reader, [&from, &to], inputs)?;
    let outputs = reader.outputs(level);
    let rows = (reader.config.coupling == Coupling::Affine).then_some(Rows::SecondFirst);
    let (from, to) = (format!("{from}.4"), format!("{to}.conv3"));
    let gain = ("scale", &[1, outputs, 1, 1][..]);
    read_zero_conv(reader, [&from, &to], [width, outputs], gain, rows)
}
