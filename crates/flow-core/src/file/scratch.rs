//! A file for tensors that are seldom needed, which keeps them out of memory.

use super::{Error, Result};
use candle_core::{DType, Device, Tensor};
use safetensors::{Dtype, View};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A file without a name, deleted when its last handle closes, however the process ends.
#[derive(Clone)]
pub struct Scratch(Arc<Place>);

struct Place {
    file: Mutex<File>,
    /// Its name in errors.
    path: PathBuf,
}

/// A tensor in a scratch file, valid until its place is overwritten.
#[derive(Clone)]
pub struct Stored {
    scratch: Scratch,
    start: u64,
    dtype: DType,
    shape: Vec<usize>,
}

impl Scratch {
    /// An empty file on the disk of `folder`. Errors name it as the file `name` there.
    ///
    /// # Errors
    /// If the folder is not writable.
    pub fn create(folder: &Path, name: &str) -> Result<Self> {
        let path = folder.join(name);
        match tempfile::tempfile_in(folder) {
            Ok(file) => Ok(Self(Arc::new(Place {
                file: Mutex::new(file),
                path,
            }))),
            Err(source) => Err(Error::Io {
                action: "write",
                path,
                source,
            }),
        }
    }

    /// Writes `tensor` from byte `end` on, over existing content, and moves `end` behind it.
    ///
    /// # Errors
    /// If the disk is full.
    pub fn put(&self, end: &mut u64, tensor: &Tensor) -> Result<Stored> {
        let (start, bytes) = (*end, tensor.data());
        self.at(start, "write", |file| file.write_all(&bytes))?;
        *end += bytes.len() as u64;
        Ok(Stored {
            scratch: self.clone(),
            start,
            dtype: tensor.dtype(),
            shape: tensor.dims().to_vec(),
        })
    }

    fn at(
        &self,
        start: u64,
        action: &'static str,
        work: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<()> {
        let Place { file, path } = &*self.0;
        let mut file = file.lock().expect("no panic happens under this lock");
        let done = file.seek(SeekFrom::Start(start));
        done.and_then(|_| work(&mut file))
            .map_err(|source| Error::Io {
                action,
                path: path.clone(),
                source,
            })
    }
}

impl Stored {
    /// Writes `tensor`, of the same shape and type, in its place.
    pub(super) fn set(&self, tensor: &Tensor) -> Result<()> {
        let bytes = tensor.data();
        self.scratch
            .at(self.start, "write", |file| file.write_all(&bytes))
    }

    pub(super) fn dtype(&self) -> Dtype {
        self.dtype.into()
    }

    pub(super) fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub(super) fn bytes(&self) -> Result<Vec<u8>> {
        let count = self.shape.iter().product::<usize>();
        let mut bytes = vec![0; count * self.dtype.size_in_bytes()];
        self.scratch
            .at(self.start, "read", |file| file.read_exact(&mut bytes))?;
        Ok(bytes)
    }

    pub(super) fn load(&self, device: &Device) -> Result<Tensor> {
        let bytes = self.bytes()?;
        Ok(Tensor::from_raw_buffer(
            &bytes,
            self.dtype,
            &self.shape,
            device,
        )?)
    }
}
