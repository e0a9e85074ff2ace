//! From a model to its state dict.

use anyhow::Result;
use candle_core::Tensor;
use flow_core::Passing;
use flow_glow::{Conv1x1Form, Coupling, GlowConfig, Padding, Peer, PriorForm, ScaleMap};

use super::base::BaseWriter;
use super::negates_scale;
use crate::export::Export;
use crate::parameters::{Model, Parameters, Rows, negated};
use crate::{fold, matrix};

/// The state dict of a model. Where the prior of a split is predicted, an `AffineCouplingBlock` of
/// scale e^raw stands at the end of the level; a bound of the scale stands at the end of a network.
///
/// # Errors
/// If it has no such models.
pub(in crate::dialects) fn write(model: &Model) -> Result<Export> {
    let model = fold::with_padding(model, Padding::Zeros)?;
    let Model { config, parameters } = &model;
    let conventions = &config.conventions;
    let mut export = Export::new(Peer::Normflows, config);
    let predicts = config.levels > 1 && conventions.split_prior == PriorForm::Convolution;
    let is_plain = conventions.conv1x1 == Conv1x1Form::Plain;
    let form = base_form(config);
    for level in 0..config.levels {
        let last = level + 1 == config.levels;
        let deepest = config.levels - 1 - level;
        let before = usize::from(predicts && !last);
        let steps = config.steps_of(last);
        for step in 0..steps {
            let from = format!("levels.{level}.steps.{step}");
            let to = format!("flows.{deepest}.{}.flows", steps - 1 - step + before);
            for (theirs, ours) in [("s", "log_scale"), ("t", "shift")] {
                let value = parameters.get(&format!("{from}.actnorm.{ours}"))?;
                export.single(format!("{to}.2.{theirs}"), &value.neg()?)?;
            }
            export.single(format!("{to}.2.data_dep_init_done"), &matrix::scalar(1.0)?)?;
            write_conv1x1(&mut export, parameters, [&from, &to], is_plain)?;
            write_network(&mut export, parameters, [&from, &to], config)?;
        }
        let (from, own) = fold::prior(config, level);
        if before == 1 {
            let (weight, bias) = parameters.folded_conv(&format!("{from}.conv"))?;
            let to = format!("flows.{deepest}.0.flows.1.param_map.net.0");
            export.single(format!("{to}.weight"), &Rows::EvenOdd.theirs(&weight)?)?;
            export.single(format!("{to}.bias"), &Rows::EvenOdd.theirs(&bias)?)?;
        }
        let own = if before == 1 {
            PriorForm::Standard
        } else {
            own
        };
        let base = BaseWriter {
            config,
            parameters,
            shape: fold::latent_shape(config, level),
            form,
        };
        base.write(&mut export, [&from, &format!("q0.{deepest}")], own)?;
    }
    tell(&mut export, config, predicts, is_plain);
    Ok(export)
}

/// `GlowBase` of channels, if no prior knows more.
fn base_form(config: &GlowConfig) -> PriorForm {
    let mut forms = (0..config.levels).map(|level| (level, fold::prior(config, level).1));
    let last = config.levels - 1;
    let is_channel = |(level, form)| {
        form == PriorForm::Channel || (level < last && form == PriorForm::Convolution)
    };
    if forms.all(is_channel) {
        PriorForm::Channel
    } else {
        PriorForm::Element
    }
}

fn tell(export: &mut Export, config: &GlowConfig, predicts: bool, is_plain: bool) {
    let (scale_map, bound) = match config.scale_map {
        ScaleMap::Exp => ("exp", None),
        ScaleMap::ExpTanh { bound } => ("exp", Some(bound)),
        ScaleMap::SigmoidInverse => ("sigmoid_inv", None),
        _ => ("sigmoid", None),
    };
    let is_affine = config.coupling == Coupling::Affine;
    export.tell("lu", !is_plain);
    export.tell("additive", !is_affine);
    export.tell("scale_map", if is_affine { scale_map } else { "sigmoid" });
    export.tell("bound", bound.filter(|_| is_affine));
    let base = base_form(config);
    export.tell(
        "base",
        if base == PriorForm::Channel {
            "glow"
        } else {
            "diagonal"
        },
    );
    export.tell("split_prior", predicts);
    export.tell("classes", config.classes);
    let is_second = config.conventions.passing == Passing::SecondHalf;
    export.tell(
        "split_mode",
        if is_second { "channel_inv" } else { "channel" },
    );
}

fn write_conv1x1(
    export: &mut Export,
    parameters: &Parameters,
    [from, to]: [&str; 2],
    is_plain: bool,
) -> Result<()> {
    let (from, to) = (format!("{from}.conv1x1"), format!("{to}.1"));
    if is_plain {
        return export.single(
            format!("{to}.W"),
            parameters.get(&format!("{from}.weight"))?,
        );
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
    export.single(format!("{to}.4.bias"), &theirs(bias)?)?;
    match (config.coupling, config.scale_map) {
        (Coupling::Affine, ScaleMap::ExpTanh { bound }) => {
            export.single(format!("{to}.5.bound"), &matrix::scalar(bound)?)
        }
        _ => Ok(()),
    }
}
