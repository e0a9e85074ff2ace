//! From a model to its state dict.

use anyhow::Result;
use candle_core::Tensor;
use flow_glow::{
    AffineOrder, Coupling, GlowConfig, Half, LevelEnd, NetworkInput, Padding, PriorForm,
};

use super::base::write_base;
use super::{PASSING, SCALE_MAPS, latent_shape, negates_scale};
use crate::convert_checkpoint::dialects::export::{Export, Refusal};
use crate::convert_checkpoint::matrix;
use crate::convert_checkpoint::parameters::{Model, Parameters, Rows, negated};

/// The state dict of a model.
///
/// # Errors
/// If it has no such models.
pub(in crate::convert_checkpoint::dialects) fn write(model: &Model) -> Result<Export> {
    let Model { config, parameters } = model;
    refusals(config)?;
    let mut export = Export::default();
    for level in 0..config.levels {
        let deepest = config.levels - 1 - level;
        for step in 0..config.steps {
            let from = format!("levels.{level}.steps.{step}");
            let to = format!("flows.{deepest}.{}.flows", config.steps - 1 - step);
            for (theirs, ours) in [("s", "log_scale"), ("t", "shift")] {
                let value = parameters.get(&format!("{from}.actnorm.{ours}"))?;
                export.single(format!("{to}.2.{theirs}"), &value.neg()?)?;
            }
            export.single(format!("{to}.2.data_dep_init_done"), &matrix::one()?)?;
            write_conv1x1(&mut export, parameters, [&from, &to])?;
            write_network(&mut export, parameters, [&from, &to], config)?;
        }
        let last = level + 1 == config.levels;
        let conventions = &config.conventions;
        let (from, form) = if last {
            ("prior".to_owned(), conventions.top_prior)
        } else {
            (format!("levels.{level}.split"), conventions.split_prior)
        };
        let (to, shape) = (format!("q0.{deepest}"), latent_shape(config, level));
        write_base(&mut export, parameters, [&from, &to], form, shape)?;
    }
    Ok(export)
}

fn refusals(config: &GlowConfig) -> Result<()> {
    let refusal = Refusal::new("normflows", config);
    let conventions = &config.conventions;
    refusal.unless_passing(&PASSING)?;
    refusal.unless_affine(AffineOrder::ShiftFirst, &SCALE_MAPS)?;
    refusal.unless(
        "`network_input`",
        conventions.network_input == NetworkInput::Plain,
    )?;
    refusal.unless("`padding`", conventions.padding == Padding::Zeros)?;
    refusal.unless("`level_end`", conventions.level_end == LevelEnd::Bare)?;
    refusal.unless("`split_keeps`", conventions.split_keeps == Half::First)?;
    let splits = config.levels > 1;
    refusal.unless(
        "`split_prior`",
        !splits || conventions.split_prior != PriorForm::Convolution,
    )?;
    refusal.unless(
        "`top_prior`",
        conventions.top_prior != PriorForm::Convolution,
    )
}

fn write_conv1x1(
    export: &mut Export,
    parameters: &Parameters,
    [from, to]: [&str; 2],
) -> Result<()> {
    let (from, to) = (format!("{from}.conv1x1"), format!("{to}.1"));
    if let Ok(weight) = parameters.get(&format!("{from}.weight")) {
        return export.single(format!("{to}.W"), weight);
    }
    let plu = parameters.plu(&from)?;
    export.single(format!("{to}.P"), &matrix::tensor(&plu.permutation)?)?;
    export.single(format!("{to}.L"), &matrix::tensor(&plu.lower)?)?;
    export.single(format!("{to}.U"), &matrix::tensor(&plu.upper)?)?;
    export.single(format!("{to}.log_S"), &matrix::vector(&plu.log_scale)?)?;
    export.single(format!("{to}.sign_S"), &matrix::vector(&plu.sign)?)?;
    export.single(
        format!("{to}.eye"),
        &matrix::tensor(&matrix::identity(plu.sign.len()))?,
    )
}

fn write_network(
    export: &mut Export,
    parameters: &Parameters,
    [from, to]: [&str; 2],
    config: &GlowConfig,
) -> Result<()> {
    let (from, to) = (
        format!("{from}.coupling.network"),
        format!("{to}.0.flows.1.param_map.net"),
    );
    let get = |name: &str| parameters.get(&format!("{from}.{name}"));
    let width = config.width;
    export.single(format!("{to}.0.weight"), get("conv1.weight")?)?;
    export.single(format!("{to}.0.bias"), get("conv1.bias")?)?;
    export.single(
        format!("{to}.2.weight"),
        &get("conv2.weight")?.reshape((width, width, 1, 1))?,
    )?;
    export.single(format!("{to}.2.bias"), get("conv2.bias")?)?;
    let theirs = |tensor: Tensor| match config.coupling {
        Coupling::Affine => Rows::EvenOdd.theirs(&negated(&tensor, negates_scale(config))?),
        Coupling::Additive => negated(&tensor, true),
    };
    let (weight, bias) = parameters.folded_conv(&format!("{from}.conv3"))?;
    export.single(format!("{to}.4.weight"), &theirs(weight)?)?;
    export.single(format!("{to}.4.bias"), &theirs(bias)?)
}
