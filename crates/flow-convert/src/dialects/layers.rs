//! Layers that several programs write alike, but for their names.

use anyhow::Result;
use candle_core::Tensor;
use flow_glow::Coupling;

use crate::matrix::Plu;
use crate::parameters::{Parameters, Rows};
use crate::source::Source;

/// The kind of couplings whose networks give `outputs` for `channels`.
pub(super) fn coupling(outputs: usize, channels: usize) -> Coupling {
    if outputs == channels {
        Coupling::Affine
    } else {
        Coupling::Additive
    }
}

/// Reads an ActNorm of `bias` and `logs`.
pub(super) fn read_actnorm(
    source: &mut Source,
    parameters: &mut Parameters,
    [from, to]: [&str; 2],
    channels: usize,
) -> Result<()> {
    for (theirs, ours) in [("bias", "shift"), ("logs", "log_scale")] {
        let value = source.take(&format!("{from}.{theirs}"), &[1, channels, 1, 1])?;
        parameters.put(format!("{to}.actnorm.{ours}"), value);
    }
    Ok(())
}

/// Reads the factors of a 1×1 convolution, by the names of permutation, lower, upper, logarithms of
/// scales, and signs.
pub(super) fn read_plu(
    source: &mut Source,
    from: &str,
    [permutation, lower, upper, log_scale, sign]: [&str; 5],
    channels: usize,
) -> Result<Plu> {
    let mut square = |name: &str| source.take(&format!("{from}.{name}"), &[channels, channels]);
    let (permutation, lower, upper) = (square(permutation)?, square(lower)?, square(upper)?);
    let mut vector = |name: &str| source.take(&format!("{from}.{name}"), &[channels]);
    Ok(Plu {
        permutation: permutation.to_vec2()?,
        lower: lower.to_vec2()?,
        upper: upper.to_vec2()?,
        log_scale: vector(log_scale)?.to_vec1()?,
        sign: vector(sign)?.to_vec1()?,
    })
}

/// Reads the first two convolutions of a coupling's network, the layers 0 and 2 of a sequence.
pub(super) fn read_hidden_convs(
    source: &mut Source,
    parameters: &mut Parameters,
    [from, to]: [&str; 2],
    [inputs, width]: [usize; 2],
) -> Result<()> {
    let mut take = |name: &str, shape: &[usize]| source.take(&format!("{from}.{name}"), shape);
    let conv1 = take("0.weight", &[width, inputs, 3, 3])?;
    parameters.put(format!("{to}.conv1.weight"), conv1);
    parameters.put(format!("{to}.conv1.bias"), take("0.bias", &[width])?);
    let conv2 = take("2.weight", &[width, width, 1, 1])?.reshape((width, width))?;
    parameters.put(format!("{to}.conv2.weight"), conv2);
    parameters.put(format!("{to}.conv2.bias"), take("2.bias", &[width])?);
    Ok(())
}

/// Reads a convolution that starts with zeros; `gain` is the name and the shape of the logarithms
/// that its outputs are multiplied by.
pub(super) fn read_zero_conv(
    source: &mut Source,
    parameters: &mut Parameters,
    [from, to]: [&str; 2],
    [inputs, outputs]: [usize; 2],
    (gain, shape): (&str, &[usize]),
    rows: Option<Rows>,
) -> Result<()> {
    let arranged = |tensor: Tensor| match rows {
        Some(rows) => rows.ours(&tensor),
        None => Ok(tensor),
    };
    let weight = source.take(&format!("{from}.conv.weight"), &[outputs, inputs, 3, 3])?;
    parameters.put(format!("{to}.weight"), arranged(weight)?);
    let bias = source.take(&format!("{from}.conv.bias"), &[outputs])?;
    parameters.put(format!("{to}.bias"), arranged(bias)?);
    let gain = source
        .take(&format!("{from}.{gain}"), shape)?
        .flatten_all()?;
    parameters.put(format!("{to}.log_gain"), arranged(gain)?);
    Ok(())
}
