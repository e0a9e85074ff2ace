//! Causes of a loss that is not finite, as far as the data explain it.

use super::gradient::gradient;
use super::{Data, Memory};
use crate::inspect::{constant_columns, others, place};
use crate::params::ParamStore;
use crate::{Bijection, Flow, Result, transfer};

/// Distance below the median, in units of 1 + its magnitude, beyond which a row's ln p is an
/// outlier.
const OUTLIER: f64 = 1e6;

/// The rows to blame and, if it can be determined, their column; `None` if the data look sound at
/// these weights.
pub(super) fn in_rows<B: Bijection>(flow: &Flow<B>, data: &Data) -> Result<Option<String>> {
    let log_probs = log_probs(flow, data)?;
    let is_bad = judge(&log_probs);
    let mut bad = (0..log_probs.len()).filter(|row| is_bad(log_probs[*row]));
    let Some(row) = bad.next() else {
        return Ok(None);
    };
    let count = bad.count();
    let column = match log_probs.iter().position(|value| !is_bad(*value)) {
        Some(good) => column(flow, data, [good, row], is_bad)?,
        None => constant_columns(&data.x)?.first().copied(),
    };
    let place = match column {
        Some(column) => {
            let values = transfer::numbers(&data.x.narrow(0, row, 1)?)?;
            format!(
                "{} is {}, where",
                place(row, column, data.x.dims()),
                values[column]
            )
        }
        None => format!("row {row} (counted from 0):"),
    };
    let log_prob = log_probs[row];
    Ok(Some(format!(
        "{place} the flow gives ln p = {log_prob}{}",
        others(count)
    )))
}

/// The columns without a density.
pub(super) fn in_columns(data: &Data) -> Result<Option<String>> {
    let columns = constant_columns(&data.x)?;
    Ok(columns.first().map(|column| {
        format!(
            "column {column} (counted from 0) is the same in all rows, so that its density has no bound: leave it \
             out, or add noise to it"
        )
    }))
}

/// The first row whose ln p has no finite gradient, with dropout drawn from `seed`.
pub(super) fn in_gradients<B: Bijection>(
    flow: &Flow<B>,
    params: &ParamStore,
    data: &Data,
    seed: u64,
) -> Result<Option<String>> {
    let is_bad = |start, count| -> Result<bool> {
        let rows = data.rows(start, count)?;
        let (gradient, _) = gradient(flow, params, &rows, Memory::Plain, seed)?;
        Ok(!gradient.norm.is_finite())
    };
    let (mut start, mut count) = (0, data.count()?);
    if !is_bad(start, count)? {
        return Ok(None);
    }
    while count > 1 {
        let half = count / 2;
        if is_bad(start, half)? {
            count = half;
        } else {
            (start, count) = (start + half, count - half);
        }
    }
    Ok(Some(format!(
        "row {start} (counted from 0): ln p has no finite gradient"
    )))
}

fn log_probs<B: Bijection>(flow: &Flow<B>, data: &Data) -> Result<Vec<f64>> {
    transfer::numbers(&data.bind(flow, |flow| flow.log_prob(&data.x))?)
}

/// Classifies ln p: true for one that is not finite, or is an outlier among `log_probs`.
fn judge(log_probs: &[f64]) -> impl Fn(f64) -> bool + Copy + use<> {
    let finite = log_probs.iter().copied().filter(|value| value.is_finite());
    let mut finite = finite.collect::<Vec<_>>();
    finite.sort_by(f64::total_cmp);
    let median = finite.get(finite.len() / 2).copied().unwrap_or_default();
    let least = median - OUTLIER * (1.0 + median.abs());
    move |value| !value.is_finite() || value < least
}

/// The first column whose value from the bad row makes the good row bad.
fn column<B: Bijection>(
    flow: &Flow<B>,
    data: &Data,
    [good, bad]: [usize; 2],
    is_bad: impl Fn(f64) -> bool,
) -> Result<Option<usize>> {
    if data.x.rank() != 2 {
        return Ok(None);
    }
    let crossed = log_probs(flow, &data.crossed(good, bad)?)?;
    Ok(crossed.into_iter().position(is_bad))
}
