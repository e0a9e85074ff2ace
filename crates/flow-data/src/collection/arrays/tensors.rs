//! Arrays of NumPy's files as tensors.

use std::{collections::BTreeMap, path::Path};

use candle_core::{DType, Device, Tensor};

use crate::Result;

use super::{
    named::{self, Named},
    npy::{self, Header},
    npz,
};

/// Axes of an array.
const MOST_AXES: usize = 8;

/// The arrays in a `.npz` file by their names, or the array in a `.npy` file by the name `x`.
/// Floats and bytes keep their types, other integers become u32.
///
/// # Errors
/// The file is damaged, or an array is of another type, in Fortran's order or without axes.
pub fn read(path: &Path) -> Result<BTreeMap<String, Tensor>> {
    let is_archive = path
        .extension()
        .is_some_and(|found| found.eq_ignore_ascii_case("npz"));
    let arrays = if is_archive {
        npz::members(path)?
    } else {
        vec![npy::named(path, "x".to_owned())?]
    };
    let tensor = |array: Named| Ok((array.key.clone(), array.tensor()?));
    arrays.into_iter().map(tensor).collect()
}

impl Named {
    fn tensor(&self) -> Result<Tensor> {
        let Header { dtype, shape, .. } = &self.header;
        self.ensure_plain()?;
        let element = match dtype.get(1..) {
            Some("u1") => DType::U8,
            Some("f2") => DType::F16,
            Some("f4") => DType::F32,
            Some("f8") => DType::F64,
            _ => {
                let numbers = self.integers()?;
                return Ok(Tensor::from_vec(numbers, &**shape, &Device::Cpu)?);
            }
        };
        let size = element.size_in_bytes();
        let mut bytes = self.bytes(size)?;
        if dtype.starts_with('>') {
            bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
        }
        Ok(Tensor::from_raw_buffer(
            &bytes,
            element,
            shape,
            &Device::Cpu,
        )?)
    }

    /// The integers, which are labels.
    fn integers(&self) -> Result<Vec<u32>> {
        let dtype = &self.header.dtype;
        let Some(integers) = named::integers(dtype) else {
            let kind = named::kind(dtype);
            return Err(self.refuse(format!("holds {kind}, and tensors hold floats or integers")));
        };
        let bytes = self.bytes(integers.bytes)?;
        let numbers = integers.read(&*bytes, bytes.len() / integers.bytes);
        numbers.map_err(|reason| self.refuse(reason))
    }

    /// The bytes of all elements, of `size` each.
    fn bytes(&self, size: usize) -> Result<Vec<u8>> {
        let Header {
            shape,
            bytes: header,
            ..
        } = &self.header;
        if shape.len() > MOST_AXES {
            let reason = format!("is of {} axes, and {MOST_AXES} are the most", shape.len());
            return Err(self.refuse(reason));
        }
        // Sizes beside an axis of 0 must not overflow either.
        let extent = shape
            .iter()
            .try_fold(size, |all, &axis| all.checked_mul(axis.max(1)));
        let Some(extent) = extent else {
            return Err(self.refuse("announces more elements than there can be"));
        };
        let elements = if shape.contains(&0) { 0 } else { extent as u64 };
        let mut bytes = self.source.read(header.saturating_add(elements))?;
        Ok(bytes.split_off(*header as usize))
    }
}
