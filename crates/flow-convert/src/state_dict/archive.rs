//! PyTorch's files since 1.6: a zip archive of a pickle and a file for each storage.

use std::{fs::File, io::Read, path::Path};

use anyhow::{Context, Result, bail, ensure};
use zip::ZipArchive;

use super::torch::Storage;

/// An archive, and the folder in it that holds everything.
pub(super) struct Archive {
    zip: ZipArchive<File>,
    root: String,
    /// Bytes of the file.
    size: u64,
}

impl Archive {
    /// Also the bytes of its pickle.
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<u8>)> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let zip = ZipArchive::new(file).context("its archive is broken or cut off")?;
        let roots = zip
            .file_names()
            .filter_map(|name| Some(name.ok()?.strip_suffix("data.pkl")?.to_owned()));
        let roots: Vec<_> = roots.collect();
        let [root] = &roots[..] else {
            bail!("its archive has no `data.pkl`, so PyTorch did not write it");
        };
        let root = root.clone();
        let mut archive = Self { zip, root, size };
        if archive
            .zip
            .index_for_name(&format!("{}byteorder", archive.root))
            .is_some()
        {
            let order = archive.read("byteorder", None)?;
            ensure!(order == b"little", "its numbers are big-endian");
        }
        let pickle = archive.read("data.pkl", None)?;
        Ok((archive, pickle))
    }

    /// The bytes of a storage.
    pub(super) fn storage(&mut self, storage: &Storage) -> Result<Vec<u8>> {
        let length = storage.length.checked_mul(storage.kind.bytes());
        let length = length.context("it is larger than any file")?;
        self.read(&format!("data/{}", storage.key), Some(length as u64))
    }

    /// A file of the archive, of `length` bytes if that is known. Its checksum is compared.
    fn read(&mut self, name: &str, length: Option<u64>) -> Result<Vec<u8>> {
        let name = format!("{}{name}", self.root);
        let entry = self.zip.by_name(&name);
        let mut entry = entry.with_context(|| format!("`{name}` of its archive"))?;
        let size = entry.size();
        // Nothing is compressed, so that no file is larger than the archive.
        ensure!(
            size <= self.size,
            "`{name}` of its archive is larger than the archive"
        );
        if let Some(length) = length {
            ensure!(
                size == length,
                "`{name}` of its archive has {size} bytes, not {length}"
            );
        }
        let mut bytes = Vec::with_capacity(size as usize);
        let read = entry.by_ref().take(size + 1).read_to_end(&mut bytes);
        read.with_context(|| format!("`{name}` of its archive is damaged"))?;
        ensure!(
            bytes.len() as u64 == size,
            "`{name}` of its archive is cut off"
        );
        Ok(bytes)
    }
}
