//! From a model to its state dict.

use anyhow::Result;
use candle_core::Tensor;
use flow_glow::{Conv1x1Form, Coupling, GlowConfig, Padding, Peer, PriorForm};

use crate::export::Export;
use crate::parameters::{Model, Parameters, Rows};
use crate::{fold, matrix};

/// The state dict of a model.
///
/// # Errors
/// If it has no such models.
pub(in crate::dialects) fn write(model: &Model) -> Result<Export> {
    let model = fold::with_padding(model, Padding::Ones)?;
    let Model { config, parameters } = &model;
    let (mut export, steps) = (Export::new(Peer::Rosinality, config), config.steps);
    for level in 0..config.levels {
        let channels = (4 * config.image.channels) << level;
        let last = level + 1 == config.levels;
        for step in 0..steps {
            let from = format!("levels.{level}.steps.{step}");
            let to = format!("blocks.{level}.flows.{step}");
            let get = |name: &str| parameters.get(&format!("{from}.{name}"));
            export.single(format!("{to}.actnorm.loc"), get("actnorm.shift")?)?;
            export.single(
                format!("{to}.actnorm.scale"),
                &get("actnorm.log_scale")?.exp()?,
            )?;
            export.flag_byte(format!("{to}.actnorm.initialized"));
            write_conv1x1(&mut export, parameters, [&from, &to], last)?;
            write_network(&mut export, parameters, [&from, &to], config)?;
        }
        let (from, form) = fold::prior(config, level);
        let inputs = if last { channels } else { channels / 2 };
        let to = format!("blocks.{level}.prior");
        write_prior(&mut export, parameters, [&from, &to], form, inputs)?;
    }
    let forms = [Conv1x1Form::Plain, Conv1x1Form::PlainButLast];
    export.tell("lu", !forms.contains(&config.conventions.conv1x1));
    export.tell("affine", config.coupling == Coupling::Affine);
    Ok(export)
}

fn write_conv1x1(
    export: &mut Export,
    parameters: &Parameters,
    [from, to]: [&str; 2],
    last: bool,
) -> Result<()> {
    let (from, to) = (format!("{from}.conv1x1"), format!("{to}.invconv"));
    // Without LU, rosinality forgets the last level.
    if let Ok(weight) = parameters.get(&format!("{from}.weight"))
        && !last
    {
        let channels = weight.dim(0)?;
        return export.single(
            format!("{to}.weight"),
            &weight.reshape((channels, channels, 1, 1))?,
        );
    }
    let plu = parameters.plu(&from)?;
    let channels = plu.sign.len();
    let l_mask = matrix::tensor(&matrix::strict_lower(&vec![vec![1.0; channels]; channels]))?;
    export.single(format!("{to}.w_p"), &matrix::tensor(&plu.permutation)?)?;
    export.single(format!("{to}.w_l"), &matrix::tensor(&plu.lower)?)?;
    export.single(format!("{to}.w_u"), &matrix::tensor(&plu.upper)?)?;
    export.single(format!("{to}.w_s"), &matrix::vector(&plu.log_scale)?)?;
    export.single(format!("{to}.s_sign"), &matrix::vector(&plu.sign)?)?;
    export.single(format!("{to}.u_mask"), &l_mask.t()?)?;
    export.single(format!("{to}.l_mask"), &l_mask)?;
    export.single(
        format!("{to}.l_eye"),
        &matrix::tensor(&matrix::identity(channels))?,
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
        format!("{to}.coupling.net"),
    );
    let get = |name: &str| parameters.get(&format!("{from}.{name}"));
    let rows = (config.coupling == Coupling::Affine).then_some(Rows::SecondFirst);
    let arranged = |tensor: &Tensor| match rows {
        Some(rows) => rows.theirs(tensor),
        None => Ok(tensor.clone()),
    };
    let width = config.width;
    export.single(format!("{to}.0.weight"), get("conv1.weight")?)?;
    export.single(format!("{to}.0.bias"), get("conv1.bias")?)?;
    export.single(
        format!("{to}.2.weight"),
        &get("conv2.weight")?.reshape((width, width, 1, 1))?,
    )?;
    export.single(format!("{to}.2.bias"), get("conv2.bias")?)?;
    export.single(
        format!("{to}.4.conv.weight"),
        &arranged(get("conv3.weight")?)?,
    )?;
    export.single(format!("{to}.4.conv.bias"), &arranged(get("conv3.bias")?)?)?;
    let scale = arranged(get("conv3.log_gain")?)?;
    export.single(
        format!("{to}.4.scale"),
        &scale.reshape((1, scale.elem_count(), 1, 1))?,
    )
}

/// Every prior is a convolution there; one that depends on nothing has no weights.
fn write_prior(
    export: &mut Export,
    parameters: &Parameters,
    [from, to]: [&str; 2],
    form: PriorForm,
    inputs: usize,
) -> Result<()> {
    let outputs = 2 * inputs;
    let get = |name: &str| parameters.get(&format!("{from}.{name}"));
    let (weight, bias, scale) = if form == PriorForm::Convolution {
        (
            get("conv.weight")?.clone(),
            get("conv.bias")?.clone(),
            get("conv.log_gain")?.clone(),
        )
    } else {
        let bias = match form {
            PriorForm::Channel => get("gaussian")?.flatten_all()?,
            _ => matrix::zeros_tensor(&[outputs])?,
        };
        (
            matrix::zeros_tensor(&[outputs, inputs, 3, 3])?,
            bias,
            matrix::zeros_tensor(&[outputs])?,
        )
    };
    export.single(format!("{to}.conv.weight"), &weight)?;
    export.single(format!("{to}.conv.bias"), &bias)?;
    export.single(format!("{to}.scale"), &scale.reshape((1, outputs, 1, 1))?)
}
