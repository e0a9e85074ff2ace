//! Folders of image files.

use std::path::{Path, PathBuf};

use crate::{Malformed, Result};

use super::{Collection, Container, Pictures, Stored, names};

/// Image files, each at its own path.
struct Files(Vec<PathBuf>);

pub(super) fn open(root: &Path, files: &[PathBuf]) -> Collection {
    let paths = files.iter().map(|file| names::below(root, file));
    let entries = names::entries(paths.collect());
    Collection {
        entries,
        class_names: None,
        container: Box::new(Files(files.to_vec())),
    }
}

impl Container for Files {
    fn pictures(&self) -> Result<Pictures<'_>> {
        let stored = |file: &PathBuf| Ok::<_, Malformed>(Stored::File(file.clone()));
        Ok(Box::new(self.0.iter().map(stored)))
    }
}
