//! A file for tensors, in the format that its name asks for.

use std::path::Path;

use anyhow::{Result, bail};
use candle_core::Tensor;
use flow_data::numpy;

use crate::output::{
    files::{self, Output},
    tiles,
};

/// Extensions of the formats that hold several tensors.
pub(crate) const SEVERAL: [&str; 2] = ["safetensors", "npz"];

/// A place for tensors.
pub(crate) struct TensorFile {
    output: Output,
    extension: &'static str,
}

impl TensorFile {
    /// Prepares to write a file of one of these extensions: a safetensors file where there is none,
    /// and to stdout if `path` is `-`.
    ///
    /// # Errors
    /// If the extension is another one, or the file cannot be written.
    pub(crate) fn create(path: &Path, extensions: &[&'static str]) -> Result<Self> {
        let extension = files::extension(path, extensions)?;
        Ok(Self {
            output: Output::create(path)?,
            extension: extension.unwrap_or("safetensors"),
        })
    }

    /// Writes the tensors. A `.npy` holds one without its name, a `.png` one of images.
    pub(crate) fn write(self, tensors: Vec<(String, Tensor)>) -> Result<()> {
        let content = match (self.extension, &*tensors) {
            ("npz", all) => numpy::npz(all)?,
            ("npy", [(_, array)]) => numpy::npy(array)?,
            ("png", [(_, images)]) => tiles::png(images)?,
            ("safetensors", _) => safetensors::serialize(tensors, None)?,
            (other, _) => bail!("a `.{other}` holds one tensor, not {}", tensors.len()),
        };
        self.output.write(&content)
    }
}
