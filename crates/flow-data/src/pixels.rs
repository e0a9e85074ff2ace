//! The bytes of images, in memory or in a file.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{Error, Result};

/// Bytes of images, one image after the other.
#[derive(Clone, Debug)]
pub(crate) enum Pixels {
    Memory(Arc<[u8]>),
    File(Arc<PixelFile>),
}

/// Bytes from `start` on in a file. They are read when they are asked for, so the system keeps in
/// memory what it has room for, once for all processes.
#[derive(Debug)]
pub(crate) struct PixelFile {
    pub(crate) path: PathBuf,
    pub(crate) file: Mutex<File>,
    pub(crate) start: u64,
}

impl Pixels {
    /// Fills `bytes` with those from place `start` on.
    pub(crate) fn read(&self, start: usize, bytes: &mut [u8]) -> Result<()> {
        match self {
            Self::Memory(all) => {
                bytes.copy_from_slice(&all[start..][..bytes.len()]);
                Ok(())
            }
            Self::File(of) => {
                let mut file = of.file.lock().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(of.start + start as u64))
                    .and_then(|_| file.read_exact(bytes))
                    .map_err(|source| Error::io(&of.path, source))
            }
        }
    }
}
