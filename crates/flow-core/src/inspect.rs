//! Checks of data: numbers of a batch that no flow can fit, named by row and column.

use crate::{Result, transfer};
use candle_core::{DType, Tensor, bail};

/// Tolerance of equality, in roundings of the largest magnitude.
const SAME: f64 = 16.0;

/// The columns of `x` `[N, …]` that are constant up to rounding: they have no density. Samples of
/// more than one dimension are counted as if flattened.
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

/// Ones for the rows of `x` `[C, M]` that are constant up to rounding, `[C]` in u8.
pub(crate) fn constant(x: &Tensor) -> Result<Tensor> {
    let epsilon = match x.dtype() {
        DType::F64 => f64::EPSILON,
        _ => f64::from(f32::EPSILON),
    };
    let (least, most) = (x.min(1)?, x.max(1)?);
    let magnitude = most.abs()?.maximum(&least.abs()?)?;
    (most - least)?.le(&(magnitude * (SAME * epsilon))?)
}

/// The index of the first number of `x` that is not finite, and the number. Integers are always
/// finite.
pub fn first_non_finite(x: &Tensor) -> Result<Option<(Vec<usize>, f64)>> {
    if !x.dtype().is_float() {
        return Ok(None);
    }
    let mut numbers = transfer::numbers(x)?.into_iter().enumerate();
    let Some((mut place, number)) = numbers.find(|(_, number)| !number.is_finite()) else {
        return Ok(None);
    };
    let mut index = x.dims().to_vec();
    for dim in index.iter_mut().rev() {
        (place, *dim) = (place / *dim, place % *dim);
    }
    Ok(Some((index, number)))
}

/// Flags of the rows of `x` `[B, …]`: true if all numbers are finite.
pub fn finite_rows(x: &Tensor) -> Result<Vec<bool>> {
    let count = x.dim(0)?;
    let flat = x.reshape((count, x.elem_count() / count.max(1)))?;
    // Zero times a number is zero, unless the number is not finite.
    let sums = transfer::numbers(&(flat * 0.0)?.sum(1)?)?.into_iter();
    Ok(sums.map(|sum| !sum.is_nan()).collect())
}

/// # Errors
/// If a number of `x` `[N, …]` is not finite; the error names the first one, and counts the rows
/// with such numbers.
pub(crate) fn check_finite(name: &str, x: &Tensor) -> Result<()> {
    // 0·x is zero where x is finite, and NaN elsewhere: for most batches one number is copied.
    if x.elem_count() == 0 || transfer::scalar(&(x * 0.0)?.sum_all()?)?.is_finite() {
        return Ok(());
    }
    let columns = x.elem_count() / x.dim(0)?;
    let Some((index, number)) = first_non_finite(&x.reshape(((), columns))?)? else {
        return Ok(());
    };
    let numbers = transfer::numbers(x)?;
    let rows = numbers.chunks_exact(columns);
    let bad = rows.filter(|row| row.iter().any(|number| !number.is_finite()));
    bail!(
        "{name}: {} is {number}{}",
        place(index[0], index[1], x.dims()),
        others(bad.count() - 1)
    )
}

/// The position of a number in a tensor `[N, …]`, as text.
pub(crate) fn place(row: usize, column: usize, dims: &[usize]) -> String {
    match dims {
        [_, _] => format!("row {row}, column {column} (counted from 0)"),
        _ => format!("row {row}, number {column} (counted from 0)"),
    }
}

/// Text for the number of other rows with the same fault.
pub(crate) fn others(count: usize) -> String {
    match count {
        0 => String::new(),
        1 => "; so is 1 other row".into(),
        _ => format!("; so are {count} other rows"),
    }
}
