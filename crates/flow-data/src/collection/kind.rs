//! Kinds of files that hold many pictures.

use std::path::{Path, PathBuf};

use crate::Result;

use super::{Collection, arrays, parquet, tar, zip};

/// A kind of file that holds many pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Archives, also under gzip; with WebDataset's names, or of folders.
    Tar,
    /// Archives of folders.
    Zip,
    /// Tables of encoded pictures, as on the hub.
    Parquet,
    /// NumPy's arrays, safetensors, IDX, and CIFAR's records.
    Arrays,
}

impl Kind {
    /// The kind that a file's name stands for.
    pub(super) fn of(file: &Path) -> Option<Self> {
        let name = file.file_name()?.to_string_lossy().to_ascii_lowercase();
        let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
        match () {
            () if ends(&[".tar", ".tar.gz", ".tgz"]) => Some(Self::Tar),
            () if ends(&[".zip"]) => Some(Self::Zip),
            () if ends(&[".parquet"]) => Some(Self::Parquet),
            () if arrays::is_one(&name) => Some(Self::Arrays),
            () => None,
        }
    }

    /// The noun for a file of this kind.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Tar => "tar archive",
            Self::Zip => "zip archive",
            Self::Parquet => "Parquet file",
            Self::Arrays => "array file",
        }
    }

    /// Lists the pictures in files of this kind.
    pub(super) fn open(self, root: &Path, files: &[PathBuf]) -> Result<Collection> {
        match self {
            Self::Tar => tar::open(root, files),
            Self::Zip => zip::open(root, files),
            Self::Parquet => parquet::open(root, files),
            Self::Arrays => arrays::open(root, files),
        }
    }
}
