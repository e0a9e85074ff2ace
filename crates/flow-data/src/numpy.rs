//! NumPy's `.npy` and `.npz` files of tensors.
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use flow_data::numpy;
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("latents.npz");
//! let z = Tensor::new(&[[0.5_f32, -1.0]], &Device::Cpu)?;
//! std::fs::write(&path, numpy::npz(&[("z.0".to_owned(), z)])?)?;
//! assert_eq!(numpy::read(&path)?["z.0"].to_vec2::<f32>()?, [[0.5, -1.0]]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::io::{Cursor, Write};

use candle_core::{DType, Error, Tensor};
use safetensors::View;
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

use crate::{Result, collection::arrays::MAGIC};

pub use crate::collection::arrays::tensors::read;

/// Headers are filled up to a multiple of this, as NumPy does.
const ALIGNMENT: usize = 64;

/// The content of a `.npy` file.
///
/// # Errors
/// NumPy has no such type of elements.
pub fn npy(tensor: &Tensor) -> Result<Vec<u8>> {
    let mut content = header(tensor)?;
    content.extend_from_slice(&View::data(&tensor));
    Ok(content)
}

/// The content of a `.npz` file of tensors with their names, stored without compression.
///
/// # Errors
/// NumPy has no such type of elements, or two tensors have the same name.
pub fn npz(tensors: &[(String, Tensor)]) -> Result<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, tensor) in tensors {
        let array = npy(tensor)?;
        // The same tensors make the same file at any time.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .large_file(u32::try_from(array.len()).is_err());
        archive
            .start_file(format!("{name}.npy"), options)
            .map_err(Error::wrap)?;
        archive.write_all(&array).map_err(Error::wrap)?;
    }
    let content = archive.finish().map_err(Error::wrap)?;
    Ok(content.into_inner())
}

/// The header of an array (format 1).
fn header(tensor: &Tensor) -> Result<Vec<u8>> {
    let dtype = match tensor.dtype() {
        DType::U8 => "|u1",
        DType::U32 => "<u4",
        DType::I16 => "<i2",
        DType::I32 => "<i4",
        DType::I64 => "<i8",
        DType::F16 => "<f2",
        DType::F32 => "<f4",
        DType::F64 => "<f8",
        other => return Err(Error::UnsupportedDTypeForOp(other, "npy").into()),
    };
    let sizes = tensor.dims().iter().map(|size| format!("{size},"));
    let sizes = sizes.collect::<String>();
    let text = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({sizes}), }}");
    let before = MAGIC.len() + 4;
    let length = (before + text.len() + 1).next_multiple_of(ALIGNMENT) - before;
    let mut header = MAGIC.to_vec();
    header.extend([1, 0]);
    header.extend((length as u16).to_le_bytes());
    header.extend(format!("{text:<0$}\n", length - 1).into_bytes());
    Ok(header)
}
