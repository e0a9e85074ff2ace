//! Checks for NaN and infinity, in inputs and in outputs.

use crate::{Error, Result};
use candle_core::Tensor;
use flow_core::{finite_rows, first_non_finite};

/// Checks that all numbers of a float tensor are finite. Integers always are.
///
/// # Errors
/// [`Error::NonFinite`] with `name` and the first number that is not finite.
pub fn check(name: &str, tensor: &Tensor) -> Result<()> {
    match first_non_finite(tensor)? {
        None => Ok(()),
        Some((index, value)) => Err(Error::NonFinite {
            name: name.to_owned(),
            value,
            index,
        }),
    }
}

/// Flags of rows: true if all numbers of a row are finite in every one of `tensors`, `[B, …]` each.
pub fn rows_of_all(tensors: &[Tensor]) -> candle_core::Result<Vec<bool>> {
    let of_tensors = tensors.iter().map(finite_rows);
    let of_tensors = of_tensors.collect::<candle_core::Result<Vec<_>>>()?;
    let count = of_tensors.first().map_or(0, Vec::len);
    let is_finite = |row: usize| of_tensors.iter().all(|rows| rows[row]);
    Ok((0..count).map(is_finite).collect())
}

/// The number of rows with NaN or infinity in one of `tensors`, `[B, …]` each.
pub fn bad_rows(tensors: &[Tensor]) -> candle_core::Result<usize> {
    let rows = rows_of_all(tensors)?.into_iter();
    Ok(rows.filter(|finite| !finite).count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    #[test]
    fn the_first_bad_number_is_named_with_its_place() {
        for dtype in [DType::F32, DType::F64] {
            for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                let mut values = vec![0.5; 24];
                (values[17], values[23]) = (bad, f64::NAN);
                let tensor = Tensor::from_vec(values, (2, 3, 4), &Device::Cpu).unwrap();
                let tensor = tensor.to_dtype(dtype).unwrap();
                let error = check("a.b", &tensor).unwrap_err().to_string();
                assert_eq!(error, format!("tensor `a.b` holds {bad} at [1, 1, 1]"));
                assert_eq!(finite_rows(&tensor).unwrap(), [true, false]);
                // The index is that of the view, not of the storage.
                let turned = tensor.t().unwrap();
                let error = check("c", &turned).unwrap_err().to_string();
                assert!(error.ends_with("at [1, 1, 1]"), "{error}");
                check("d", &tensor.narrow(0, 0, 1).unwrap()).unwrap();
                let flat = tensor.flatten_all().unwrap();
                assert_eq!(
                    finite_rows(&flat.narrow(0, 16, 2).unwrap()).unwrap(),
                    [true, false]
                );
                assert!(
                    finite_rows(&tensor.narrow(0, 0, 0).unwrap())
                        .unwrap()
                        .is_empty()
                );
            }
        }
        let scalar = Tensor::new(f32::NAN, &Device::Cpu).unwrap();
        assert!(check("e", &scalar).is_err());
        check("f", &Tensor::new(&[1_u8], &Device::Cpu).unwrap()).unwrap();
    }

    #[test]
    fn rows_of_the_largest_numbers_are_finite() {
        let x = Tensor::new(
            &[[f32::MAX, f32::MAX], [f32::MIN, f32::INFINITY]],
            &Device::Cpu,
        );
        assert_eq!(finite_rows(&x.unwrap()).unwrap(), [true, false]);
    }
}
