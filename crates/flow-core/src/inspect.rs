//! Numbers of a batch that no flow can fit, named by row and column.

use crate::{Result, transfer};
use candle_core::{DType, Tensor, bail};

/// Roundings of the largest magnitude by which numbers may differ and still count as the same.
const SAME: f64 = 16.0;

/// The columns of `x` `[N, …]` that hold the same number in all rows, but for rounding: they have no density.
/// Samples of more than one dimension are counted as if flattened.
///
/// # Errors
/// If there are no rows.
pub fn constant_columns(x: &Tensor) -> Result<Vec<usize>> {
    let constant = transfer::numbers(&constant(&x.flatten_from(1)?.t()?)?)?;
    let indices = constant.into_iter().enumerate();
    Ok(indices
        .filter(|(_, is)| *is > 0.0)
        .map(|(i, _)| i)
        .collect())
}

/// Ones for the rows of `x` `[C, M]` whose numbers are all the same but for rounding, `[C]` in u8.
pub(crate) fn constant(x: &Tensor) -> Result<Tensor> {
    let epsilon = match x.dtype() {
        DType::F64 => f64::EPSILON,
        _ => f64::from(f32::EPSILON),
    };
    let (least, most) = (x.min(1)?, x.max(1)?);
    let magnitude = most.abs()?.maximum(&least.abs()?)?;
    (most - least)?.le(&(magnitude * (SAME * epsilon))?)
}

/// # Errors
/// If a number of `x` `[N, …]` is not finite: names the first one, and counts the rows with such numbers.
pub(crate) fn check_finite(name: &str, x: &Tensor) -> Result<()> {
    // 0·x is zero where x is finite, and NaN elsewhere.
    if x.elem_count() == 0 || transfer::scalar(&(x * 0.0)?.sum_all()?)?.is_finite() {
        return Ok(());
    }
    let numbers = transfer::numbers(x)?;
    let is_bad = |value: &f64| !value.is_finite();
    let mut rows = numbers.chunks_exact(numbers.len() / x.dim(0)?).enumerate();
    let mut bad = rows.by_ref().filter(|(_, row)| row.iter().any(is_bad));
    let Some((row, values)) = bad.next() else {
        bail!("{name}: the sum of the numbers is not finite");
    };
    let column = values.iter().position(is_bad).unwrap_or_default();
    bail!(
        "{name}: {} is {}{}",
        place(row, column, x.dims()),
        values[column],
        others(bad.count())
    )
}

/// The place of a number in a tensor `[N, …]`, for people.
pub(crate) fn place(row: usize, column: usize, dims: &[usize]) -> String {
    match dims {
        [_, _] => format!("row {row}, column {column} (counted from 0)"),
        _ => format!("row {row}, number {column} (counted from 0)"),
    }
}

/// Says that so many other rows have the same fault.
pub(crate) fn others(count: usize) -> String {
    match count {
        0 => String::new(),
        1 => "; so is 1 other row".into(),
        _ => format!("; so are {count} other rows"),
    }
}
