//! `OneByOneConvolution`: the triangles entry by entry, the diagonal of U through a softplus.

use anyhow::{Context, Result, ensure};

use crate::dialects::reader::Reader;
use crate::export::Export;
use crate::matrix::{self, Qlu};
use crate::parameters::Parameters;

/// Offset that nflows adds to the softplus that is the diagonal of U.
pub(super) const EPSILON: f64 = 1e-3;

pub(super) fn read_conv1x1(
    reader: &mut Reader<'_>,
    [from, to]: [&str; 2],
    channels: usize,
) -> Result<()> {
    let entries = channels * (channels - 1) / 2;
    let mut vector = |name: &str, length: usize| reader.take(&format!("{from}.{name}"), &[length]);
    let lower: Vec<f64> = vector("lower_entries", entries)?.to_vec1()?;
    let upper: Vec<f64> = vector("upper_entries", entries)?.to_vec1()?;
    let diagonal: Vec<f64> = vector("unconstrained_upper_diag", channels)?.to_vec1()?;
    let bias = vector("bias", channels)?;
    let name = format!("{from}.permutation._permutation");
    let permutation = reader.source.take_indices(&name, channels)?;
    let mut factors = Qlu {
        rotation: vec![vec![0.0; channels]; channels],
        lower: vec![vec![0.0; channels]; channels],
        upper: vec![vec![0.0; channels]; channels],
        log_scale: diagonal
            .iter()
            .map(|&raw| (softplus(raw) + EPSILON).ln())
            .collect(),
    };
    for ((i, j), (below, above)) in
        places(channels).zip(lower.iter().zip(above_in_rows(&upper, channels)))
    {
        factors.lower[i][j] = *below;
        factors.upper[j][i] = above;
    }
    for (row, &column) in permutation.iter().enumerate() {
        let entry = factors.rotation[row].get_mut(column as usize);
        *entry.with_context(|| format!("tensor `{name}` is not a permutation"))? = 1.0;
    }
    let mut sorted = permutation;
    sorted.sort_unstable();
    ensure!(
        sorted.windows(2).all(|pair| pair[0] < pair[1]),
        "tensor `{name}` is not a permutation"
    );
    reader.parameters.put_qlu(to, &factors)?;
    reader.put(format!("{to}.bias"), bias);
    Ok(())
}

/// Row and column of the entries of a strict lower triangle, row by row.
fn places(channels: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..channels).flat_map(|i| (0..i).map(move |j| (i, j)))
}

/// The entries of a strict upper triangle, which stand row by row, in the order of [`places`]
/// transposed.
fn above_in_rows(entries: &[f64], channels: usize) -> impl Iterator<Item = f64> {
    places(channels).map(move |(column, row)| {
        let before = row * (2 * channels - row - 1) / 2;
        entries[before + column - row - 1]
    })
}

fn softplus(raw: f64) -> f64 {
    raw.max(0.0) + (-raw.abs()).exp().ln_1p()
}

/// Inverse of [`softplus`].
fn softplus_inverse(value: f64) -> f64 {
    value + (-(-value).exp_m1()).ln()
}

/// The factors below `from`, where the signs were turned so that nflows has such.
pub(super) fn write_conv1x1(
    export: &mut Export,
    parameters: &Parameters,
    [from, to]: [&str; 2],
) -> Result<()> {
    let factors = parameters.qlu(from)?;
    let permutation = columns(&factors.rotation);
    let permutation =
        permutation.with_context(|| format!("`{from}.rotation` is not a permutation"))?;
    let (lower, upper) = (&factors.lower, factors.upper_with_diagonal());
    let channels = lower.len();
    let lower_entries: Vec<f64> = places(channels).map(|(i, j)| lower[i][j]).collect();
    let upper_places = (0..channels).flat_map(|i| (i + 1..channels).map(move |j| (i, j)));
    let upper_entries: Vec<f64> = upper_places.map(|(i, j)| upper[i][j]).collect();
    let diagonal = (0..channels).map(|i| {
        let softplus = upper[i][i] - EPSILON;
        ensure!(
            softplus > 0.0,
            "`{from}` scales a channel by less than {EPSILON}, which nflows cannot"
        );
        Ok(softplus_inverse(softplus))
    });
    let diagonal = diagonal.collect::<Result<Vec<_>>>()?;
    export.single(
        format!("{to}.lower_entries"),
        &matrix::vector(&lower_entries)?,
    )?;
    export.single(
        format!("{to}.upper_entries"),
        &matrix::vector(&upper_entries)?,
    )?;
    export.single(
        format!("{to}.unconstrained_upper_diag"),
        &matrix::vector(&diagonal)?,
    )?;
    export.single(
        format!("{to}.bias"),
        parameters.get(&format!("{from}.bias"))?,
    )?;
    let permutation: Vec<u32> = permutation
        .into_iter()
        .map(|column| column as u32)
        .collect();
    export.indices(format!("{to}.permutation._permutation"), &permutation);
    Ok(())
}

/// Tells whether the 1×1 convolution below `prefix` has nflows' factors as it is.
pub(super) fn is_own(parameters: &Parameters, prefix: &str) -> Result<bool> {
    if parameters.bias(prefix).is_none() {
        return Ok(false);
    }
    let factors = parameters.qlu(prefix)?;
    let is_above = factors.log_scale.iter().all(|scale| scale.exp() > EPSILON);
    Ok(is_above && columns(&factors.rotation).is_some())
}

/// Columns in which the ones of the rows stand, if the matrix is a permutation.
fn columns(rotation: &[Vec<f64>]) -> Option<Vec<usize>> {
    let one = |row: &Vec<f64>| {
        let mut nonzero = row.iter().enumerate().filter(|(_, value)| **value != 0.0);
        match (nonzero.next(), nonzero.next()) {
            (Some((column, &1.0)), None) => Some(column),
            _ => None,
        }
    };
    rotation.iter().map(one).collect()
}
