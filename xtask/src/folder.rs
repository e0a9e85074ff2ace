//! A data set's own files in a folder: checking them, reading them, putting them there.

use std::{
    fs,
    io::{self, Read, Write},
    path::Path,
};

use anyhow::{Context, Result, ensure};
use flate2::{Compression, GzBuilder};
use flow_data::source::{self, File, Files, Part, Source};
use sha2::{Digest, Sha256};

/// More than any file of any data set holds: the largest has 47 million bytes.
const LARGEST: u64 = 64 << 20;

/// A file and its uncompressed content.
pub(crate) type Content = (File, Vec<u8>);

/// Whether `folder` holds every file of the data set, as published.
pub(crate) fn is_complete(source: &Source, folder: &Path) -> bool {
    files(source).all(|file| read(&file, folder).is_ok())
}

/// Every file of the data set from `folder`, as published.
pub(crate) fn read_all(source: &Source, folder: &Path) -> Result<Vec<Content>> {
    files(source)
        .map(|file| Ok((file, read(&file, folder)?)))
        .collect()
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

/// SHA-256 of `content`, in lower-case hexadecimal digits.
pub(crate) fn sha256(content: &[u8]) -> String {
    let digits = Sha256::digest(content)
        .into_iter()
        .flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .map(|digit| char::from_digit(digit.into(), 16).expect("a nibble is a digit"))
        .collect()
}

fn files(source: &Source) -> impl Iterator<Item = File> {
    let of_part = |part: Part| match part.files {
        Files::Idx { images, labels } => vec![images, labels],
        Files::Cifar10(batches) => batches.to_vec(),
    };
    of_part(source.train)
        .into_iter()
        .chain(of_part(source.test))
}

fn read(file: &File, folder: &Path) -> Result<Vec<u8>> {
    let missing = || {
        format!(
            "`{0}` holds neither `{1}` nor `{1}.gz`",
            folder.display(),
            file.name
        )
    };
    let path = file.find(folder).with_context(missing)?;
    let mut content = Vec::new();
    let reading = || format!("cannot read `{}`", path.display());
    source::open(&path)?
        .take(LARGEST)
        .read_to_end(&mut content)
        .with_context(reading)?;
    check(file, &content, &format!("`{}`", path.display()))?;
    Ok(content)
}

fn stage(contents: &[Content], folder: &Path) -> io::Result<()> {
    fs::create_dir(folder)?;
    for (file, content) in contents {
        let (name, bytes) = stored(file, content)?;
        let mut output = fs::File::create(folder.join(name))?;
        output.write_all(&bytes)?;
        output.sync_all()?;
    }
    Ok(())
}

/// Name and bytes of a file as it is stored: IDX under gzip, as its authors publish it.
fn stored(file: &File, content: &[u8]) -> io::Result<(String, Vec<u8>)> {
    if is_binary(file) {
        return Ok((file.name.to_owned(), content.to_owned()));
    }
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    Ok((format!("{}.gz", file.name), encoder.finish()?))
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

/// A file may lie there under gzip and without. The one that was not written would be found in place of
/// the one that was, and it was there when the data set was not complete.
fn remove_other_spellings(contents: &[Content], folder: &Path) -> io::Result<()> {
    for (file, _) in contents {
        let compressed = format!("{}.gz", file.name);
        let stale = if is_binary(file) {
            &compressed
        } else {
            file.name
        };
        match fs::remove_file(folder.join(stale)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
