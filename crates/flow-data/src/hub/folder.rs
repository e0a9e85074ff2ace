//! A data set's own files in a folder: checking them, reading them, putting them there.

use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use flate2::{Compression, GzBuilder};

use crate::progress::{Counter, Stage, Watch};
use crate::{
    Error, Result,
    source::{self, File, Source, sha256},
};

/// More than any file of any data set holds: the largest has 47 million bytes.
const LARGEST: u64 = 64 << 20;

/// A file and its uncompressed content.
pub type Content = (File, Vec<u8>);

/// The folder below `root` that holds every file of the data set, as published.
pub fn complete(source: &Source, root: &Path, watch: Watch<'_>) -> Option<PathBuf> {
    read_all(source, root, watch).ok()?;
    let paths = source.find(&source.train.files.all(), root).ok()?;
    paths.first()?.parent().map(Path::to_owned)
}

/// Every file of the data set below `root`, as published: the training files, then the test files.
///
/// # Errors
///
/// A file is missing, ambiguous, cannot be read, or is not as published.
pub fn read_all(source: &Source, root: &Path, watch: Watch<'_>) -> Result<Vec<Content>> {
    let parts = [source.train, source.test];
    let paths = parts.iter().map(|part| {
        let files = part.files.all();
        let paths = source.find(&files, root)?;
        Ok(files.into_iter().zip(paths).collect::<Vec<_>>())
    });
    let paths = paths.collect::<Result<Vec<_>>>()?;
    let bytes = parts.iter().map(|part| {
        let (c, h, w) = part.files.shape();
        part.images * (c * h * w + 1)
    });
    let bytes = bytes.sum::<usize>() as u64;
    let mut counter = Counter::start(Stage::Reading, bytes, watch);
    let read = |(file, path): (File, PathBuf)| Ok((file, read(&file, &path, &mut counter)?));
    paths.into_iter().flatten().map(read).collect()
}

/// Puts files into `folder`, each there in full or not at all.
///
/// Files are written beside the folder first, so that an interruption leaves it unchanged. Other
/// files in an existing folder stay.
///
/// # Errors
///
/// [`Error::Write`] of the folder or the one around it.
pub fn write_all(contents: &[Content], folder: &Path, watch: Watch<'_>) -> Result<()> {
    let cannot_write = |path: &Path| {
        let path = path.to_owned();
        |source| Error::Write { path, source }
    };
    let parent = folder.parent().unwrap_or(folder);
    fs::create_dir_all(parent).map_err(cannot_write(parent))?;
    let staging = tempfile::Builder::new()
        .prefix(".fetch-")
        .tempdir_in(parent)
        .map_err(cannot_write(parent))?;
    let new = staging.path().join("new");
    stage(contents, &new, watch).map_err(cannot_write(parent))?;
    move_into(&new, folder)
        .and_then(|()| remove_other_spellings(contents, folder))
        .map_err(cannot_write(folder))
}

/// The rest of a sentence about `content`, if it is not that of `file` as published.
pub(super) fn check(file: &File, content: &[u8]) -> Result<(), String> {
    let found = sha256(content);
    if found == file.sha256 {
        return Ok(());
    }
    Err(format!(
        "is not the published `{}`: its SHA-256 is {found}, not {}",
        file.name, file.sha256
    ))
}

fn read(file: &File, path: &Path, counter: &mut Counter<'_>) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    let mut limited = source::open(path)?.take(LARGEST);
    counter
        .copy(&mut limited, &mut content)
        .map_err(|source| Error::Io {
            path: path.to_owned(),
            source,
        })?;
    check(file, &content).map_err(|reason| Error::Format {
        path: path.to_owned(),
        reason,
    })?;
    Ok(content)
}

fn stage(contents: &[Content], folder: &Path, watch: Watch<'_>) -> io::Result<()> {
    fs::create_dir(folder)?;
    let bytes = contents.iter().map(|(_, content)| content.len() as u64);
    let mut counter = Counter::start(Stage::Writing, bytes.sum(), watch);
    for (file, content) in contents {
        let mut output = fs::File::create(folder.join(stored_name(file)))?;
        output.write_all(&stored(file, content, &mut counter)?)?;
        output.sync_all()?;
    }
    Ok(())
}

/// The name under which a file is stored: IDX under gzip, as its authors publish it.
fn stored_name(file: &File) -> String {
    if is_binary(file) {
        file.name.to_owned()
    } else {
        format!("{}.gz", file.name)
    }
}

/// The bytes of a file as it is stored.
fn stored(file: &File, content: &[u8], counter: &mut Counter<'_>) -> io::Result<Vec<u8>> {
    if is_binary(file) {
        counter.add(content.len() as u64);
        return Ok(content.to_owned());
    }
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::best());
    counter.copy(&mut &content[..], &mut encoder)?;
    encoder.finish()
}

fn is_binary(file: &File) -> bool {
    Path::new(file.name)
        .extension()
        .is_some_and(|extension| extension == "bin")
}

fn move_into(new: &Path, folder: &Path) -> io::Result<()> {
    if folder.exists() {
        for entry in fs::read_dir(new)? {
            let entry = entry?;
            fs::rename(entry.path(), folder.join(entry.file_name()))?;
        }
        Ok(())
    } else {
        fs::rename(new, folder)
    }
}

/// A file may lie there under another name, such as without gzip. It was there when the data set
/// was not complete, and would contradict the one that was written.
fn remove_other_spellings(contents: &[Content], folder: &Path) -> io::Result<()> {
    for (file, _) in contents {
        let stored = stored_name(file);
        let others = file.spellings().into_iter().filter(|name| *name != stored);
        for path in others.map(|name| folder.join(name)) {
            if path.is_file() {
                fs::remove_file(path)?;
            }
        }
    }
    Ok(())
}
