//! NumPy arrays as tensors, and back.

use candle_core::{DType, Device, Storage, Tensor, WithDType};
use num_traits::Float;
use numpy::{
    Element, PyArray, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyUntypedArray,
    PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::errors;

/// A matrix of finite floats, `[N, columns]`, as a tensor of `dtype`. Its numbers are copied once,
/// from any strides; messages call it `name`.
///
/// # Errors
/// `TypeError` for other numbers than floats, `ValueError` for another shape or a number that is
/// not finite.
pub(crate) fn matrix(
    name: &str,
    array: &Bound<'_, PyUntypedArray>,
    columns: usize,
    dtype: DType,
) -> PyResult<Tensor> {
    let shape = array.shape();
    if shape.len() != 2 || shape[1] != columns {
        let message = format!("{name} must have the shape (n, {columns}), not {shape:?}");
        return Err(PyValueError::new_err(message));
    }
    floats(name, array, dtype)
}

fn floats(name: &str, array: &Bound<'_, PyUntypedArray>, dtype: DType) -> PyResult<Tensor> {
    match dtype {
        DType::F64 => numbers::<f64>(name, array),
        _ => numbers::<f32>(name, array),
    }
}

/// Finite floats `[N, shape…]` as a tensor of `dtype`.
///
/// # Errors
/// As [`matrix`].
pub(crate) fn samples(
    name: &str,
    array: &Bound<'_, PyUntypedArray>,
    shape: &[usize],
    dtype: DType,
) -> PyResult<Tensor> {
    let found = array.shape();
    if found.len() != shape.len() + 1 || found[1..] != *shape {
        let message = format!("{name} must have the shape (n, {shape:?}), not {found:?}");
        return Err(PyValueError::new_err(message));
    }
    floats(name, array, dtype)
}

/// The pixels of images u8, and their shape `[N, C, H, W]`. They are copied once.
///
/// # Errors
/// `TypeError` for other numbers, `ValueError` for another number of dimensions.
pub(crate) fn images(array: &Bound<'_, PyUntypedArray>) -> PyResult<(Vec<u8>, [usize; 4])> {
    let Ok(shape) = <[usize; 4]>::try_from(array.shape()) else {
        let message = format!(
            "images must have the shape (n, channels, height, width), not {:?}",
            array.shape()
        );
        return Err(PyValueError::new_err(message));
    };
    let Ok(pixels) = array.cast::<PyArrayDyn<u8>>() else {
        let message = format!(
            "images must hold uint8, from 0 to 255, not {}",
            array.dtype()
        );
        return Err(PyTypeError::new_err(message));
    };
    Ok((copied(pixels, |pixel| pixel)?, shape))
}

/// The numbers of an array of f32 or f64 as a tensor of type `T`.
fn numbers<T: WithDType + Float>(
    name: &str,
    array: &Bound<'_, PyUntypedArray>,
) -> PyResult<Tensor> {
    let kind = array.dtype();
    let values = if kind.is_equiv_to(&f32::get_dtype(array.py())) {
        copied(array.cast::<PyArrayDyn<f32>>()?, |number| {
            T::from_f64(number.into())
        })?
    } else if kind.is_equiv_to(&f64::get_dtype(array.py())) {
        copied(array.cast::<PyArrayDyn<f64>>()?, T::from_f64)?
    } else {
        let message = format!("{name} must hold float32 or float64, not {kind}");
        return Err(PyTypeError::new_err(message));
    };
    if let Some(place) = values.iter().position(|value| !value.is_finite()) {
        return Err(non_finite(
            name,
            place,
            array.shape(),
            values[place].is_nan(),
        ));
    }
    Tensor::from_vec(values, array.shape(), &Device::Cpu).map_err(errors::value)
}

/// The converted numbers of an array in the order of rows.
fn copied<S: Element + Copy, T>(
    array: &Bound<'_, PyArrayDyn<S>>,
    convert: impl Fn(S) -> T,
) -> PyResult<Vec<T>> {
    if !is_aligned(array) {
        let aligned = array.call_method0("copy")?;
        return copied(aligned.cast::<PyArrayDyn<S>>()?, convert);
    }
    let array = array.try_readonly()?;
    let view = array.as_array();
    Ok(match view.as_slice() {
        Some(slice) => slice.iter().map(|&value| convert(value)).collect(),
        None => view.iter().map(|&value| convert(value)).collect(),
    })
}

/// True if numbers lie where the processor reads them as they are.
fn is_aligned<S: Element>(array: &Bound<'_, PyArrayDyn<S>>) -> bool {
    let step = align_of::<S>();
    let mut strides = array.strides().iter();
    array.data().addr().is_multiple_of(step) && strides.all(|stride| stride % step as isize == 0)
}

fn non_finite(name: &str, place: usize, shape: &[usize], is_nan: bool) -> PyErr {
    let columns = shape[1..].iter().product::<usize>();
    let kind = if is_nan {
        "NaN"
    } else {
        "infinity or a number too large for its type"
    };
    PyValueError::new_err(format!(
        "{name} contains {kind} (row {}, column {}, counted from 0)",
        place / columns,
        place % columns
    ))
}

/// A tensor of floats or of pixels as an array of its shape and type.
pub(crate) fn array<'py>(py: Python<'py>, tensor: &Tensor) -> PyResult<Bound<'py, PyAny>> {
    match tensor.dtype() {
        DType::F64 => of::<f64>(py, tensor),
        DType::U8 => of::<u8>(py, tensor),
        _ => of::<f32>(py, tensor),
    }
}

fn of<'py, T: WithDType + Element>(
    py: Python<'py>,
    tensor: &Tensor,
) -> PyResult<Bound<'py, PyAny>> {
    let tensor = tensor.contiguous().map_err(errors::value)?;
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else {
        unreachable!("all tensors of the package are on the CPU")
    };
    let values = storage.as_slice::<T>().map_err(errors::value)?;
    let start = layout.start_offset();
    // Copied into an array that NumPy allocates: one that borrows would cost a call of one row more.
    let flat = PyArray::from_slice(py, &values[start..start + layout.shape().elem_count()]);
    // Reshaping would cost a call of one row a microsecond.
    Ok(match tensor.dims() {
        [_] => flat.into_any(),
        shape => flat.reshape(shape)?.into_any(),
    })
}
