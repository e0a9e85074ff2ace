//! Files that appear whole or not at all.

use std::{
    fs::{self, File},
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use atomic_write_file::AtomicWriteFile;

use crate::report;

/// The name that stands for stdout.
const STDOUT: &str = "-";

/// A place for a file. It is known to be writable before there is anything to write.
pub(crate) struct Output {
    path: PathBuf,
    target: Target,
}

enum Target {
    Stdout,
    /// A device or a pipe, which must not be replaced by a file.
    Special(File),
    /// A file beside the place, to be renamed to it.
    Sibling(AtomicWriteFile),
}

impl Output {
    /// Prepares to write a file, or to stdout if `path` is `-`.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let target = if path == Path::new(STDOUT) {
            ensure!(
                !io::stdout().is_terminal(),
                "a terminal cannot show a file; redirect stdout or name a file"
            );
            Target::Stdout
        } else {
            Target::for_path(path).with_context(|| cannot_write(path))?
        };
        Ok(Self {
            path: path.to_owned(),
            target,
        })
    }

    /// Writes the content.
    pub(crate) fn write(self, content: &[u8]) -> Result<()> {
        match self.target {
            Target::Stdout => report::bytes(content),
            Target::Special(mut file) => file
                .write_all(content)
                .with_context(|| cannot_write(&self.path)),
            Target::Sibling(mut file) => file
                .write_all(content)
                .and_then(|()| file.commit())
                .with_context(|| cannot_write(&self.path)),
        }
    }
}

/// Replaces the file at `path`, or makes it.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    Output::create(path)?.write(content)
}

/// Makes a folder and those above it.
pub(crate) fn create_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot make the folder `{}`", path.display()))
}

impl Target {
    fn for_path(path: &Path) -> Result<Self> {
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => bail!("it is a folder"),
            Ok(found) if !found.is_file() => return Ok(Self::Special(File::create(path)?)),
            _ => {}
        }
        match path.parent() {
            Some(folder) if folder != Path::new("") && !folder.is_dir() => {
                bail!("there is no folder `{}`", folder.display())
            }
            _ => Ok(Self::Sibling(AtomicWriteFile::open(path)?)),
        }
    }
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write `{}`", path.display())
}
