//! Files that appear whole or not at all.

use std::{
    fs::{self, File},
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use atomic_write_file::AtomicWriteFile;

use crate::output::report;

/// The name that stands for stdout.
const STDOUT: &str = "-";

/// A place for a file. It is checked to be writable before there is anything to write.
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

    /// stdout, for text that a terminal can show.
    pub(crate) fn stdout() -> Self {
        Self {
            path: STDOUT.into(),
            target: Target::Stdout,
        }
    }

    /// Writes the content.
    pub(crate) fn write(mut self, content: &[u8]) -> Result<()> {
        if let Target::Stdout = self.target {
            return report::bytes(content);
        }
        let written = self.write_all(content);
        written.with_context(|| cannot_write(&self.path))?;
        self.finish()
    }

    /// Gives the file its name, after it was written piece by piece.
    pub(crate) fn finish(self) -> Result<()> {
        match self.target {
            Target::Stdout => io::stdout().flush().context("cannot write to stdout"),
            Target::Special(_) => Ok(()),
            Target::Sibling(file) => file.commit().with_context(|| cannot_write(&self.path)),
        }
    }
}

/// Writes piece by piece; nothing is at the place before [`finish`](Output::finish).
impl Write for Output {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        match &mut self.target {
            Target::Stdout => io::stdout().write(piece),
            Target::Special(file) => file.write(piece),
            Target::Sibling(file) => file.write(piece),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.target {
            Target::Stdout => io::stdout().flush(),
            Target::Special(file) => file.flush(),
            Target::Sibling(file) => file.flush(),
        }
    }
}

/// The extension of a file name, in letters of either case, if it is one of `known`; `None` without
/// one.
///
/// # Errors
/// If the extension is another one.
pub(crate) fn extension(path: &Path, known: &[&'static str]) -> Result<Option<&'static str>> {
    let Some(found) = path.extension() else {
        return Ok(None);
    };
    let mut matching = known.iter().filter(|name| found.eq_ignore_ascii_case(name));
    let extension = matching.next().copied().with_context(|| {
        format!(
            "cannot write `{}`: its name may end in {}",
            path.display(),
            listed(known)
        )
    });
    extension.map(Some)
}

/// Extensions in a sentence, such as `.png`, `.npy`.
pub(crate) fn listed(extensions: &[&str]) -> String {
    let extensions = extensions.iter().map(|name| format!("`.{name}`"));
    extensions.collect::<Vec<_>>().join(", ")
}

/// Replaces the file at `path`, or makes it.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    Output::create(path)?.write(content)
}

/// Makes a folder and those above it, on the disk too.
pub(crate) fn create_folder(path: &Path) -> Result<()> {
    let make = || {
        let missing = path.ancestors().take_while(|folder| !folder.exists());
        let missing = missing.collect::<Vec<_>>();
        fs::create_dir_all(path)?;
        missing
            .into_iter()
            .filter_map(Path::parent)
            .try_for_each(sync_folder)
    };
    make().with_context(|| format!("cannot make the folder `{}`", path.display()))
}

/// Removes unfinished files of killed processes from `folder`, if their final names are `ours`.
pub(crate) fn remove_leftovers(folder: &Path, ours: impl Fn(&str) -> bool) -> Result<()> {
    let cannot = || format!("cannot tidy up `{}`", folder.display());
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        let name = entry.file_name();
        if name.to_str().and_then(written_as).is_some_and(&ours) {
            fs::remove_file(entry.path()).with_context(cannot)?;
        }
    }
    Ok(())
}

/// The final name of a temporary file of `AtomicWriteFile`: `.NAME.` and six letters or digits.
fn written_as(sibling: &str) -> Option<&str> {
    let (name, suffix) = sibling.strip_prefix('.')?.rsplit_once('.')?;
    let random = suffix.len() == 6 && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric());
    random.then_some(name)
}

/// A name is on the disk only once its folder is.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let path = if path == Path::new("") {
        Path::new(".")
    } else {
        path
    };
    File::open(path)?.sync_all()
}

/// Elsewhere a folder cannot be opened.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
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
