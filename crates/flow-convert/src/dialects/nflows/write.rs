//! From a model to its state dict.
//!
//! Layers that may be added to those of nflows' own Glows:
//! - `InverseTransform(AffineCouplingTransform(mask, net))` whose scale is e^raw, which shifts
//!   first: in place of the couplings, and at a level's end for what the prior of a split sees in
//!   the half that is kept;
//! - at the end of a network a bound of the scale, `bound·tanh(raw / bound)`;
//! - a `PointwiseAffineTransform` of all latents, or with classes the base
//!   `ConditionalDiagonalNormal`.

use anyhow::Result;
use candle_core::Tensor;
use flow_glow::{Coupling, GlowConfig, LevelEnd, Padding, Peer, PriorForm, ScaleMap};

use super::conv1x1::write_conv1x1;
use super::mask::step_order;
use super::signs::turned;
use super::{FLOW, last_conv, step};
use crate::export::Export;
use crate::fold;
use crate::matrix;
use crate::parameters::{Model, Parameters, negated};

/// The state dict of a `Flow`.
///
/// # Errors
/// If it has no such models.
pub(in crate::dialects) fn write(model: &Model) -> Result<Export> {
    let model = turned(&fold::with_padding(model, Padding::Zeros)?)?;
    let Model { config, parameters } = &model;
    let mut export = Export::new(Peer::Nflows, config);
    let latents = Latents::of(config, parameters)?;
    let base = match &latents {
        Some(latents) if config.classes.is_none() => {
            let to = format!("{FLOW}_transforms.1");
            let scale = latents.log_std.neg()?.exp()?.flatten_all()?;
            let shift = (latents.mean.neg()?.flatten_all()? * &scale)?;
            export.single(format!("{to}._scale"), &scale)?;
            export.single(format!("{to}._shift"), &shift)?;
            format!("{FLOW}_transforms.0.")
        }
        Some(latents) => {
            let table = Tensor::cat(&[&latents.mean, &latents.log_std], 1)?;
            export.single("_distribution._context_encoder.weight".to_owned(), &table)?;
            FLOW.to_owned()
        }
        None => FLOW.to_owned(),
    };
    let network = Network::of(config, parameters)?;
    for level in 0..config.levels {
        write_level(&mut export, &model, &base, level, &network)?;
    }
    export.tell("gain", network.has_gain);
    export.tell("end", config.conventions.level_end == LevelEnd::Conv1x1);
    export.tell("additive", config.coupling == Coupling::Additive);
    export.tell("softplus", config.scale_map == ScaleMap::Softplus);
    export.tell("inverse", network.is_inverse);
    export.tell("bound", network.bound);
    export.tell("split_prior", predicts_splits(config));
    export.tell("affine", latents.is_some() && config.classes.is_none());
    export.tell("classes", config.classes);
    Ok(export)
}

fn predicts_splits(config: &GlowConfig) -> bool {
    config.levels > 1 && config.conventions.split_prior == PriorForm::Convolution
}

fn write_level(
    export: &mut Export,
    Model { config, parameters }: &Model,
    base: &str,
    level: usize,
    network: &Network,
) -> Result<()> {
    let channels = (4 * config.image.channels) << level;
    let last = level + 1 == config.levels;
    let steps = config.steps_of(last);
    for k in 0..steps {
        let (from, to) = (format!("levels.{level}.steps.{k}"), step(base, level, k));
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
        write_conv1x1(export, parameters, conv1x1.map(String::as_str))?;
        let order = step_order(&config.conventions, k, channels);
        let to = format!(
            "{to}.2{}",
            if network.is_inverse {
                "._transform"
            } else {
                ""
            }
        );
        write_mask(export, &to, &order);
        let from = format!("{from}.coupling.network");
        network.write(
            export,
            parameters,
            [&from, &format!("{to}.transform_net.net")],
        )?;
    }
    let member = |index: usize| format!("{base}_transforms.{level}._transforms.{index}");
    let has_end = config.conventions.level_end == LevelEnd::Conv1x1;
    if has_end {
        let from = format!("levels.{level}.conv1x1");
        write_conv1x1(export, parameters, [&from, &member(steps + 1)])?;
    }
    if predicts_splits(config) && !last {
        let to = member(steps + 1 + usize::from(has_end));
        let to = format!("{to}._transform");
        let mut order: Vec<u32> = (0..channels as u32).collect();
        order.rotate_left(channels / 2);
        write_mask(export, &to, &order);
        let (weight, bias) = parameters.folded_conv(&format!("levels.{level}.split.conv"))?;
        export.single(format!("{to}.transform_net.net.0.weight"), &weight)?;
        export.single(format!("{to}.transform_net.net.0.bias"), &bias)?;
    }
    Ok(())
}

/// `order` has the channels that pass first.
fn write_mask(export: &mut Export, to: &str, order: &[u32]) {
    let (passing, others) = order.split_at(order.len() / 2);
    export.indices(format!("{to}.identity_features"), passing);
    export.indices(format!("{to}.transform_features"), others);
}

/// The form of the coupling networks.
struct Network {
    width: usize,
    has_gain: bool,
    /// The couplings are inverses of couplings that scale first.
    is_inverse: bool,
    bound: Option<f64>,
}

impl Network {
    fn of(config: &GlowConfig, parameters: &Parameters) -> Result<Self> {
        let (is_inverse, bound) = match (config.coupling, config.scale_map) {
            (Coupling::Additive, _) => (false, None),
            (_, ScaleMap::Exp) => (true, None),
            (_, ScaleMap::ExpTanh { bound }) => (true, Some(bound)),
            _ => (false, None),
        };
        Ok(Self {
            width: config.width,
            has_gain: parameters.has_gain()?,
            is_inverse,
            bound,
        })
    }

    fn write(
        &self,
        export: &mut Export,
        parameters: &Parameters,
        [from, to]: [&str; 2],
    ) -> Result<()> {
        let (width, has_gain) = (self.width, self.has_gain);
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
        for name in ["weight", "bias"] {
            // (x + shift)·e^raw is the inverse of x·e^−raw − shift.
            let tensor = get(&format!("conv3.{name}"))?;
            let tensor = if self.is_inverse {
                negated(tensor, true)?
            } else {
                tensor.clone()
            };
            export.single(last_conv(to, has_gain, name), &tensor)?;
        }
        match self.bound {
            Some(bound) => export.single(format!("{to}.5.bound"), &matrix::scalar(bound)?),
            None => Ok(()),
        }
    }
}

/// Means and ln std of all latents, level after level, `[1, D]` or with classes `[classes, D]`.
struct Latents {
    mean: Tensor,
    log_std: Tensor,
}

impl Latents {
    /// `None` if all priors but those of the splits are standard normal.
    fn of(config: &GlowConfig, parameters: &Parameters) -> Result<Option<Self>> {
        let rows = config.classes.unwrap_or(1);
        let (mut means, mut log_stds, mut is_standard) = (Vec::new(), Vec::new(), true);
        for level in 0..config.levels {
            let (from, form) = fold::prior(config, level);
            let shape = fold::latent_shape(config, level);
            let is_predicted = level + 1 < config.levels && form == PriorForm::Convolution;
            let form = if is_predicted {
                PriorForm::Standard
            } else {
                form
            };
            let table = fold::gaussian(config, parameters, &from, form, shape)?;
            is_standard &= table.is_none();
            let size = shape.dimensions();
            let table = match table {
                Some(table) => table.flatten_from(1)?.broadcast_as((rows, 2 * size))?,
                None => matrix::zeros_tensor(&[rows, 2 * size])?,
            };
            means.push(table.narrow(1, 0, size)?);
            log_stds.push(table.narrow(1, size, size)?);
        }
        if is_standard {
            return Ok(None);
        }
        Ok(Some(Self {
            mean: Tensor::cat(&means, 1)?,
            log_std: Tensor::cat(&log_stds, 1)?,
        }))
    }
}
