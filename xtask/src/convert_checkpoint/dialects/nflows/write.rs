//! From a model to its state dict.

use anyhow::Result;
use candle_core::Tensor;
use flow_glow::{AffineOrder, GlowConfig, Half, LevelEnd, NetworkInput, PriorForm};

use super::conv1x1::write_conv1x1;
use super::mask::{complement, order};
use super::{FLOW, SCALE_MAPS, last_conv, step};
use crate::convert_checkpoint::dialects::export::{Export, Refusal};
use crate::convert_checkpoint::parameters::{Model, Parameters};

/// The state dict of a `Flow`.
///
/// # Errors
/// If it has no such models.
pub(in crate::convert_checkpoint::dialects) fn write(model: &Model) -> Result<Export> {
    let Model { config, parameters } = model;
    refusals(config)?;
    let mut export = Export::default();
    let has_gain = parameters.has_gain()?;
    let conventions = &config.conventions;
    for level in 0..config.levels {
        let channels = (4 * config.image.channels) << level;
        for k in 0..config.steps {
            let (from, to) = (format!("levels.{level}.steps.{k}"), step(FLOW, level, k));
            let log_scale = parameters
                .get(&format!("{from}.actnorm.log_scale"))?
                .flatten_all()?;
            let shift = parameters
                .get(&format!("{from}.actnorm.shift"))?
                .flatten_all()?;
            export.single(format!("{to}.0.shift"), &(shift * log_scale.exp()?)?)?;
            export.single(format!("{to}.0.log_scale"), &log_scale)?;
            export.flag(format!("{to}.0.initialized"));
            let conv1x1 = [&format!("{from}.conv1x1"), &format!("{to}.1")];
            write_conv1x1(&mut export, parameters, conv1x1.map(String::as_str))?;
            let passing = conventions.passing;
            let others = conventions.alternating && k % 2 == 1;
            let order = order(if others { complement(passing) } else { passing }, channels);
            export.indices(format!("{to}.2.identity_features"), &order[..channels / 2]);
            export.indices(format!("{to}.2.transform_features"), &order[channels / 2..]);
            write_network(
                &mut export,
                parameters,
                [&from, &to],
                config.width,
                has_gain,
            )?;
        }
        if conventions.level_end == LevelEnd::Conv1x1 {
            let from = format!("levels.{level}.conv1x1");
            let to = format!("{FLOW}_transforms.{level}._transforms.{}", config.steps + 1);
            write_conv1x1(&mut export, parameters, [&from, &to])?;
        }
    }
    Ok(export)
}

fn refusals(config: &GlowConfig) -> Result<()> {
    let refusal = Refusal::new("nflows", config);
    let conventions = &config.conventions;
    refusal.unless_affine(AffineOrder::ScaleFirst, &SCALE_MAPS)?;
    refusal.unless(
        "`network_input`",
        conventions.network_input == NetworkInput::Plain,
    )?;
    let splits = config.levels > 1;
    refusal.unless(
        "`split_keeps`",
        !splits || conventions.split_keeps == Half::Second,
    )?;
    refusal.unless(
        "`split_prior`",
        !splits || conventions.split_prior == PriorForm::Standard,
    )?;
    refusal.unless("`top_prior`", conventions.top_prior == PriorForm::Standard)?;
    refusal.unless("`classes`", config.classes.is_none())
}

fn write_network(
    export: &mut Export,
    parameters: &Parameters,
    [from, to]: [&str; 2],
    width: usize,
    has_gain: bool,
) -> Result<()> {
    let (from, to) = (
        format!("{from}.coupling.network"),
        format!("{to}.2.transform_net.net"),
    );
    let get = |name: &str| parameters.get(&format!("{from}.{name}"));
    export.single(format!("{to}.0.weight"), get("conv1.weight")?)?;
    export.single(format!("{to}.0.bias"), get("conv1.bias")?)?;
    let conv2: Tensor = get("conv2.weight")?.reshape((width, width, 1, 1))?;
    export.single(format!("{to}.2.weight"), &conv2)?;
    export.single(format!("{to}.2.bias"), get("conv2.bias")?)?;
    if has_gain {
        let scale = get("conv3.log_gain")?;
        export.single(
            format!("{to}.4.scale"),
            &scale.reshape((1, scale.elem_count(), 1, 1))?,
        )?;
    }
    export.single(last_conv(&to, has_gain, "weight"), get("conv3.weight")?)?;
    export.single(last_conv(&to, has_gain, "bias"), get("conv3.bias")?)
}
