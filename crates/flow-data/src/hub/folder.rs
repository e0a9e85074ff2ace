//! A data set's own files in a folder: checking them, reading them, putting them there.

use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use flate2::{Compression, GzBuilder};
use flow_data::source::{self, File, Source, sha256};
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

/// More than any file of any data set holds: the largest has 47 million bytes.
const LARGEST: u64 = 64 << 20;

/// Bytes that are compressed before the bar moves.
const CHUNK: usize = 1 << 16;

/// A file and its uncompressed content.
pub(crate) type Content = (File, Vec<u8>);

/// The folder below `root` that holds every file of the data set, as published.
pub(crate) fn complete(source: &Source, root: &Path) -> Option<PathBuf> {
    read_all(source, root).ok()?;
    let paths = source.find(&source.train.files.all(), root).ok()?;
    paths.first()?.parent().map(Path::to_owned)
}

/// Every file of the data set from below `root`, as published. Shows how far it is.
pub(crate) fn read_all(source: &Source, root: &Path) -> Result<Vec<Content>> {
    let parts = [source.train, source.test];
    let paths = parts.iter().map(|part| {
        let files = part.files.all();
        let paths = source.find(&files, root)?;
        Ok(files.into_iter().zip(paths).collect::<Vec<_>>())
    });
    let paths = paths.collect::<flow_data::Result<Vec<_>>>()?;
    let bytes = parts.iter().map(|part| {
        let (c, h, w) = part.files.shape();
        part.images * (c * h * w + 1)
    });
    let bar = progress("reading", bytes.sum());
    let read = |(file, path): (File, PathBuf)| Ok((file, read(&file, &path, &bar)?));
    paths.into_iter().flatten().map(read).collect()
}

/// An error if `content` is not that of `file` as published. `origin` is for the error's text.
pub(crate) fn check(file: &File, content: &[u8], origin: &str) -> Result<()> {
    let found = sha256(content);
    ensure!(
        found == file.sha256,
        "{origin} is not the published `{}`: its SHA-256 is {found}, not {}",
        file.name,
        file.sha256
    );
    Ok(())
}

/// Puts files into `folder`, each there in full or not at all.
///
/// They are written beside it first, so that an interruption leaves it as it was. A folder that is
/// there keeps whatever else is in it.
pub(crate) fn write_all(contents: &[Content], folder: &Path) -> Result<()> {
    let parent = folder
        .parent()
        .context("a data set's folder is inside the data folder")?;
    let in_parent = || format!("cannot write to `{}`", parent.display());
    fs::create_dir_all(parent).with_context(in_parent)?;
    let staging = tempfile::Builder::new()
        .prefix(".fetch-")
        .tempdir_in(parent)
        .with_context(in_parent)?;
    let new = staging.path().join("new");
    stage(contents, &new).with_context(in_parent)?;
    move_into(&new, folder)
        .and_then(|()| remove_other_spellings(contents, folder))
        .with_context(|| format!("cannot write to `{}`", folder.display()))
}

fn read(file: &File, path: &Path, bar: &ProgressBar) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    let reading = || format!("cannot read `{}`", path.display());
    bar.wrap_read(source::open(path)?)
        .take(LARGEST)
        .read_to_end(&mut content)
        .with_context(reading)?;
    check(file, &content, &format!("`{}`", path.display()))?;
    Ok(content)
}

/// A bar on a terminal, nothing elsewhere.
fn progress(what: &'static str, bytes: usize) -> ProgressBar {
    let template = "{msg} {wide_bar} {bytes}/{total_bytes}";
    let style = ProgressStyle::with_template(template).expect("the template is valid");
    ProgressBar::new(bytes as u64)
        .with_style(style)
        .with_message(what)
        .with_finish(ProgressFinish::AndClear)
}

fn stage(contents: &[Content], folder: &Path) -> io::Result<()> {
    fs::create_dir(folder)?;
    let bytes = contents.iter().map(|(_, content)| content.len());
    let bar = progress("writing", bytes.sum());
    for (file, content) in contents {
        let bytes = stored(file, content, &bar)?;
        let name = stored_name(file);
        let mut output = fs::File::create(folder.join(name))?;
        output.write_all(&bytes)?;
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
fn stored(file: &File, content: &[u8], bar: &ProgressBar) -> io::Result<Vec<u8>> {
    if is_binary(file) {
        bar.inc(content.len() as u64);
        return Ok(content.to_owned());
    }
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::best());
    for chunk in content.chunks(CHUNK) {
        encoder.write_all(chunk)?;
        bar.inc(chunk.len() as u64);
    }
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

/// A file may lie there under another name, such as without gzip. It was there when the data set was
/// not complete, and would contradict the one that was written.
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
