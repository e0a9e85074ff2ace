//! Any model as one that nflows has: a 1×1 convolution there is L·U·P with a positive diagonal, and
//! a split keeps the second half of the channels.
//!
//! A matrix has such factors once some of its rows have changed sign. The sign of a channel goes on
//! through the coupling and ActNorm to the next matrix, and at the end into the means of the prior.

use anyhow::{Result, ensure};
use candle_core::Tensor;
use flow_glow::{Conv1x1Form, Coupling, GlowConfig, Half, LevelEnd, PriorForm};

use super::conv1x1::{EPSILON, is_own};
use super::mask::step_order;
use crate::matrix::{self, Lup, Qlu};
use crate::parameters::{Model, Parameters, scaled_columns, scaled_rows, select};

/// The same density in nflows' form; its latents may have other signs.
pub(crate) fn turned(model: &Model) -> Result<Model> {
    let mut turned = model.clone();
    let Model { config, parameters } = &mut turned;
    let swaps = config.levels > 1 && config.conventions.split_keeps == Half::First;
    let mut signs = vec![1.0; 4 * config.image.channels];
    for level in 0..config.levels {
        let last = level + 1 == config.levels;
        for step in 0..config.steps_of(last) {
            signs = turn_step(&model.config, parameters, [level, step], &signs)?;
        }
        let end = format!("levels.{level}.conv1x1");
        if swaps || config.conventions.level_end == LevelEnd::Conv1x1 {
            signs = turn_end(parameters, &end, &signs, swaps && !last)?;
        }
        if last {
            turn_prior(parameters, "prior", &signs)?;
        } else {
            let (taken_out, kept) = signs.split_at(signs.len() / 2);
            let split = format!("levels.{level}.split");
            if config.conventions.split_prior == PriorForm::Convolution {
                change(parameters, &format!("{split}.conv.weight"), |weight| {
                    scaled_columns(weight, &matrix::vector(kept)?)
                })?;
            }
            turn_prior(parameters, &split, taken_out)?;
            // A squeeze makes four channels of one.
            signs = kept.iter().flat_map(|&sign| [sign; 4]).collect();
        }
    }
    config.conventions.conv1x1 = Conv1x1Form::LowerUpperRotation;
    if swaps {
        config.conventions.level_end = LevelEnd::Conv1x1;
        config.conventions.split_keeps = Half::Second;
    }
    Ok(turned)
}

/// Applies the signs of the channels to a step; returns those of its output.
fn turn_step(
    config: &GlowConfig,
    parameters: &mut Parameters,
    [level, step]: [usize; 2],
    signs: &[f64],
) -> Result<Vec<f64>> {
    let from = format!("levels.{level}.steps.{step}");
    change(parameters, &format!("{from}.actnorm.shift"), |shift| {
        scaled_columns(shift, &matrix::vector(signs)?)
    })?;
    let conv1x1 = format!("{from}.conv1x1");
    if !signs.contains(&-1.0) && is_own(parameters, &conv1x1)? {
        return Ok(signs.to_vec());
    }
    let matrix = parameters.matrix(&conv1x1)?;
    let bias = match parameters.bias(&conv1x1) {
        Some(bias) => bias.clone(),
        None => matrix::zeros_tensor(&[signs.len()])?,
    };
    let (turned, gain) = turn(parameters, &conv1x1, (matrix, bias), signs)?;
    // ActNorm compensates the factor that keeps the diagonal above nflows' minimum.
    change(parameters, &format!("{from}.actnorm.log_scale"), |scale| {
        Ok((scale - gain.ln())?)
    })?;
    let order = step_order(&config.conventions, step, signs.len());
    let ordered: Vec<f64> = order
        .iter()
        .map(|&channel| turned[channel as usize])
        .collect();
    let (passing, moved) = ordered.split_at(signs.len() / 2);
    let network = format!("{from}.coupling.network");
    change(parameters, &format!("{network}.conv1.weight"), |weight| {
        scaled_columns(weight, &matrix::vector(passing)?)
    })?;
    let mut rows = moved.to_vec();
    if config.coupling == Coupling::Affine {
        rows.extend(vec![1.0; moved.len()]);
    }
    for name in ["weight", "bias"] {
        change(parameters, &format!("{network}.conv3.{name}"), |tensor| {
            scaled_rows(tensor, &matrix::vector(&rows)?)
        })?;
    }
    Ok(turned)
}

/// The 1×1 convolution at a level's end, or the identity without one. With `swaps`, the half that
/// the split keeps becomes the second half.
fn turn_end(
    parameters: &mut Parameters,
    end: &str,
    signs: &[f64],
    swaps: bool,
) -> Result<Vec<f64>> {
    let channels = signs.len();
    let exists = parameters.bias(end).is_some();
    if exists && !swaps && !signs.contains(&-1.0) && is_own(parameters, end)? {
        return Ok(signs.to_vec());
    }
    let (mut matrix, mut bias) = if exists {
        (
            parameters.matrix(end)?,
            parameters.get(&format!("{end}.bias"))?.clone(),
        )
    } else {
        (
            matrix::identity(channels),
            matrix::zeros_tensor(&[channels])?,
        )
    };
    if swaps {
        matrix.rotate_left(channels / 2);
        let order: Vec<u32> = (0..channels as u32).collect();
        let (first, second) = order.split_at(channels / 2);
        bias = select(&bias, &[second, first].concat())?;
    }
    let (turned, gain) = turn(parameters, end, (matrix, bias), signs)?;
    ensure!(
        [1.0].contains(&gain),
        "`{end}` scales a channel by less than {EPSILON}, which nflows cannot"
    );
    Ok(turned)
}

/// Puts the factors of a 1×1 convolution below `name`, whose input comes with `signs`: the signs of
/// its output, and the number that the matrix was multiplied by.
fn turn(
    parameters: &mut Parameters,
    name: &str,
    (mut matrix, bias): (Vec<Vec<f64>>, Tensor),
    signs: &[f64],
) -> Result<(Vec<f64>, f64)> {
    for row in &mut matrix {
        row.iter_mut()
            .zip(signs)
            .for_each(|(value, sign)| *value *= sign);
    }
    let Lup {
        lower,
        upper,
        columns,
        signs,
    } = Lup::factorize(matrix)?;
    let channels = signs.len();
    let least = (0..channels)
        .map(|i| upper[i][i])
        .fold(f64::INFINITY, f64::min);
    let gain = if least < 2.0 * EPSILON {
        4.0 * EPSILON / least
    } else {
        1.0
    };
    let mut rotation = vec![vec![0.0; channels]; channels];
    for (row, column) in rotation.iter_mut().zip(columns) {
        row[column] = 1.0;
    }
    let factors = Qlu {
        rotation,
        lower,
        log_scale: (0..channels).map(|i| (upper[i][i] * gain).ln()).collect(),
        upper: upper
            .into_iter()
            .map(|row| row.into_iter().map(|value| value * gain).collect())
            .collect(),
    };
    parameters.remove(&format!("{name}.weight"));
    parameters.put_qlu(name, &factors)?;
    let bias = (bias * matrix::vector(&signs)?)?;
    parameters.put(format!("{name}.bias"), bias);
    Ok((signs, gain))
}

/// Means of latents that come with these signs.
fn turn_prior(parameters: &mut Parameters, prior: &str, signs: &[f64]) -> Result<()> {
    let mut both = signs.to_vec();
    both.extend(vec![1.0; signs.len()]);
    let both = matrix::vector(&both)?;
    for name in ["gaussian", "class_gaussian"] {
        let name = format!("{prior}.{name}");
        if parameters.get(&name).is_ok() {
            change(parameters, &name, |table| scaled_columns(table, &both))?;
        }
    }
    for name in ["conv.weight", "conv.bias"] {
        let name = format!("{prior}.{name}");
        if parameters.get(&name).is_ok() {
            change(parameters, &name, |tensor| scaled_rows(tensor, &both))?;
        }
    }
    Ok(())
}

fn change(
    parameters: &mut Parameters,
    name: &str,
    with: impl FnOnce(&Tensor) -> Result<Tensor>,
) -> Result<()> {
    let changed = with(parameters.get(name)?)?;
    parameters.put(name.to_owned(), changed);
    Ok(())
}
