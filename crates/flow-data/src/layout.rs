//! Locations of the files of a data set: the folder that `fetch` writes, and those of other
//! programs and sites.

use std::path::{Path, PathBuf};

use crate::{
    Error, Result,
    content::is_same,
    source::{File, Source},
};

impl Source {
    /// The paths of `files` below `root`, all of them in one of the data set's
    /// [`folders`](Self::folders).
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] if none of the files is there, [`Error::Incomplete`] if some are,
    /// [`Error::Ambiguous`] if a file is there twice with different content.
    pub fn find(&self, files: &[File], root: &Path) -> Result<Vec<PathBuf>> {
        let mut whole: Option<Vec<PathBuf>> = None;
        let mut part = None;
        for name in self.folders_inside() {
            let folder = root.join(name);
            let found = files.iter().map(|file| file.find(&folder));
            let found = found.collect::<Result<Vec<_>>>()?;
            let missing = found.iter().zip(files).find(|(path, _)| path.is_none());
            match (missing, &whole) {
                (None, None) => whole = Some(found.into_iter().flatten().collect()),
                (None, Some(first)) => {
                    let pairs = first.iter().zip(found.iter().flatten());
                    pairs.into_iter().try_for_each(|(a, b)| ensure_same(a, b))?;
                }
                (Some((_, file)), _) if found.iter().any(Option::is_some) => {
                    part.get_or_insert((folder, file));
                }
                _ => {}
            }
        }
        match (whole, part) {
            (Some(paths), _) => Ok(paths),
            (None, Some((folder, file))) => Err(Error::Incomplete {
                dataset: self.dataset,
                folder,
                file: file.name,
            }),
            (None, None) => Err(Error::Missing {
                dataset: self.dataset,
                file: files[0],
                root: root.to_owned(),
            }),
        }
    }

    /// The folders inside a data folder that are searched, best first: [`folders`](Self::folders),
    /// and the same inside the first of them. An empty name stands for the data folder itself.
    pub(crate) fn folders_inside(&self) -> Vec<String> {
        let own = self.folders.first().copied().unwrap_or_default();
        let mut names: Vec<String> = Vec::new();
        for outer in ["", own] {
            for inner in self.folders {
                let parts = [outer, inner].into_iter().filter(|part| !part.is_empty());
                let name = parts.collect::<Vec<_>>().join("/");
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names
    }
}

impl File {
    /// The place of the file in `folder`: under its own name or with a dot before `idx`, under gzip
    /// or not, or in a folder that is called as the file is.
    ///
    /// # Errors
    ///
    /// [`Error::Ambiguous`] if it is there twice with different content.
    fn find(&self, folder: &Path) -> Result<Option<PathBuf>> {
        let names = self.spellings();
        let paths = names.iter().map(|name| folder.join(name));
        let paths = paths.flat_map(|path| {
            if path.is_dir() {
                names.iter().map(|name| path.join(name)).collect()
            } else {
                vec![path]
            }
        });
        let mut found = None;
        for path in paths.filter(|path| path.exists() && !path.is_dir()) {
            match &found {
                None => found = Some(path),
                Some(first) => ensure_same(first, &path)?,
            }
        }
        Ok(found)
    }

    /// The names under which the file is published and unpacked, such as
    /// `train-images-idx3-ubyte.gz` and `train-images.idx3-ubyte`.
    pub fn spellings(&self) -> Vec<String> {
        let mut names = vec![self.name.to_owned()];
        let dotted = self.name.replace("-idx", ".idx");
        if dotted != self.name {
            names.push(dotted);
        }
        let compressed = |name: String| [format!("{name}.gz"), name];
        names.into_iter().flat_map(compressed).collect()
    }
}

fn ensure_same(first: &Path, second: &Path) -> Result<()> {
    if is_same(first, second)? {
        return Ok(());
    }
    Err(Error::Ambiguous {
        first: first.to_owned(),
        second: second.to_owned(),
    })
}
