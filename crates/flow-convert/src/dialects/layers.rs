//! Layers that several programs write in the same form, under different names.

use anyhow::Result;
use candle_core::Tensor;

use super::reader::Reader;
use crate::matrix::Plu;
use crate::parameters::Rows;
use crate::source::Source;

/// Reads an ActNorm of `bias` and `logs`.
pub(super) fn read_actnorm(
    reader: &mut Reader<'_>,
    [from, to]: [&str; 2],
    channels: usize,
) -> Result<()> {
    for (theirs, ours) in [("bias", "shift"), ("logs", "log_scale")] {
        let value = reader.take(&format!("{from}.{theirs}"), &[1, channels, 1, 1])?;
        reader.put(format!("{to}.actnorm.{ours}"), value);
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

/// Puts weights and biases of the first two convolutions of a coupling's network.
pub(super) fn put_hidden_convs(
    reader: &mut Reader<'_>,
    to: &str,
    convs: [(Tensor, Tensor); 2],
) -> Result<()> {
    let width = reader.config.width;
    let [(weight1, bias1), (weight2, bias2)] = convs;
    reader.put(format!("{to}.conv1.weight"), weight1);
    reader.put(format!("{to}.conv1.bias"), bias1);
    let weight2 = weight2.reshape((width, width))?;
    reader.put(format!("{to}.conv2.weight"), weight2);
    reader.put(format!("{to}.conv2.bias"), bias2);
    Ok(())
}

/// Reads the first two convolutions of a coupling's network, the layers 0 and 2 of a sequence.
pub(super) fn read_hidden_convs(
    reader: &mut Reader<'_>,
    [from, to]: [&str; 2],
    inputs: usize,
) -> Result<()> {
    let width = reader.config.width;
    let mut conv = |layer: usize, shape: [usize; 4]| -> Result<_> {
        Ok((
            reader.take(&format!("{from}.{layer}.weight"), &shape)?,
            reader.take(&format!("{from}.{layer}.bias"), &[width])?,
        ))
    };
    let convs = [
        conv(0, [width, inputs, 3, 3])?,
        conv(2, [width, width, 1, 1])?,
    ];
    put_hidden_convs(reader, to, convs)
}

/// Reads a convolution that starts with zeros; `gain` is the name and the shape of the logarithms
/// that its outputs are multiplied by.
pub(super) fn read_zero_conv(
    reader: &mut Reader<'_>,
    [from, to]: [&str; 2],
    [inputs, outputs]: [usize; 2],
    (gain, shape): (&str, &[usize]),
    rows: Option<Rows>,
) -> Result<()> {
    let weight = reader.take(&format!("{from}.conv.weight"), &[outputs, inputs, 3, 3])?;
    let bias = reader.take(&format!("{from}.conv.bias"), &[outputs])?;
    let gain = reader
        .take(&format!("{from}.{gain}"), shape)?
        .flatten_all()?;
    for (name, tensor) in [("weight", weight), ("bias", bias), ("log_gain", gain)] {
        let tensor = match rows {
            Some(rows) => rows.ours(&tensor)?,
            None => tensor,
        };
        reader.put(format!("{to}.{name}"), tensor);
    }
    Ok(())
}
