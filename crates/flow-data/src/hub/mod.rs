//! Data sets from the Hugging Face hub, or from files at hand, into a folder as their authors
//! publish them.
//!
//! Reading order: [`fetch`] and [`take`], then [`folder`] (checks and writes a data set's own
//! files); [`fetch_repository`] for data sets of anybody.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use flow_data::{Dataset, DatasetName, Split, hub};
//!
//! let data = Path::new("data");
//! hub::fetch(DatasetName::Mnist, data, &mut |_| {})?;
//! let digits = Dataset::load(DatasetName::Mnist, Split::Train, data)?;
//! # Ok::<(), flow_data::Error>(())
//! ```

mod client;
mod environment;
pub mod folder;
mod listing;
mod published;
mod repository;
#[cfg(test)]
mod tests;

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use client::Client;
use folder::Content;
pub use repository::{ColumnNames, fetch_repository};

use crate::{
    DatasetName, Error, Malformed, Result, Split, Watch, cifar10, idx, malformed,
    progress::{Counter, Stage},
    source::{Files, Part, Source, hex},
};

/// The folder of a data set of which every file is there, as published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// It was complete before.
    Complete(PathBuf),
    /// It has been written.
    Written(PathBuf),
}

/// Downloads a data set into `<data_dir>/<name>/`, unless all of it lies below `data_dir`.
///
/// The hub is that of `HF_ENDPOINT`, the token that of `HF_TOKEN` or of a login, and downloads are
/// kept in the cache below `HF_HOME` that Hugging Face's programs share. A file is compared with
/// the digest that the hub announces before it is decoded, and its content with the published
/// digests before anything is written. The folder is written in full or not at all.
///
/// # Errors
///
/// [`Error::Endpoint`], [`Error::Denied`] and [`Error::Download`] of the hub; [`Error::Wrong`] if a
/// file differs from what was announced or published, which removes it from the cache;
/// [`Error::Write`].
pub fn fetch(dataset: DatasetName, data_dir: &Path, watch: Watch<'_>) -> Result<Fetched> {
    fill(dataset, data_dir, watch, |source, watch| {
        download(&Client::from_env()?, source, watch)
    })
}

/// Copies a data set's own files from below `from` into `<data_dir>/<name>/`, unless all of it lies
/// below `data_dir`. They may be under gzip or not, and lie as torchvision lays them out.
///
/// # Errors
///
/// A file is missing, cannot be read, or is not as published; or [`Error::Write`].
pub fn take(
    dataset: DatasetName,
    from: &Path,
    data_dir: &Path,
    watch: Watch<'_>,
) -> Result<Fetched> {
    fill(dataset, data_dir, watch, |source, watch| {
        folder::read_all(source, from, watch)
    })
}

/// Writes a data set's files into its folder, unless they are there.
fn fill(
    dataset: DatasetName,
    data_dir: &Path,
    watch: Watch<'_>,
    contents: impl FnOnce(&Source, Watch<'_>) -> Result<Vec<Content>>,
) -> Result<Fetched> {
    let source = dataset.source();
    if let Some(complete) = folder::complete(&source, data_dir, watch) {
        return Ok(Fetched::Complete(complete));
    }
    let folder = data_dir.join(dataset.as_str());
    folder::write_all(&contents(&source, watch)?, &folder, watch)?;
    Ok(Fetched::Written(folder))
}

/// The files of both splits.
fn download(client: &Client, source: &Source, watch: Watch<'_>) -> Result<Vec<Content>> {
    let mut contents = Vec::new();
    for part in [Split::Train, Split::Test].map(|split| source.part(split)) {
        let path = client.get(source.repository, "main", part.parquet, watch)?;
        let split = decode(&path, source, part, watch);
        contents.extend(split.map_err(|Malformed(reason)| discard(&path, part.parquet, reason))?);
    }
    Ok(contents)
}

/// The files of a split, from its file in the cache.
fn decode(
    path: &Path,
    source: &Source,
    part: &Part,
    watch: Watch<'_>,
) -> Result<Vec<Content>, Malformed> {
    check_transfer(path, watch)?;
    let file = fs::File::open(path).map_err(Malformed::new)?;
    let (pixels, labels) = published::read(file, source.image_column, part, watch)?;
    let contents = match part.files {
        Files::Idx {
            images,
            labels: classes,
        } => {
            vec![
                (images, idx::encode_images(&pixels)),
                (classes, idx::encode_labels(&labels)),
            ]
        }
        Files::Cifar10(batches) => {
            let pixels = pixels.chunks(pixels.len() / batches.len());
            let labels = labels.chunks(labels.len() / batches.len());
            let encoded = pixels
                .zip(labels)
                .map(|(pixels, labels)| cifar10::encode(pixels, labels));
            batches.iter().copied().zip(encoded).collect()
        }
    };
    for (file, content) in &contents {
        folder::check(file, content).map_err(|reason| format!("its content {reason}"))?;
    }
    Ok(contents)
}

/// The cache names a file after its `ETag`, which for a large file is its SHA-256. Checked before
/// any of it is decoded.
fn check_transfer(path: &Path, watch: Watch<'_>) -> Result<(), Malformed> {
    let etag = path.file_name().and_then(|name| name.to_str());
    if let Some(etag) = etag.filter(|etag| etag.len() == 64) {
        let found = digest(path, watch).map_err(Malformed::new)?;
        malformed::ensure!(
            found == etag,
            "its SHA-256 is {found}, but the hub announced {etag}"
        );
    }
    Ok(())
}

/// SHA-256 of a file.
fn digest(path: &Path, watch: Watch<'_>) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut counter = Counter::start(Stage::Reading, file.metadata()?.len(), watch);
    let (mut hash, mut piece) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(&piece[..length]);
        counter.add(length as u64);
    }
}

/// Removes a wrong file from the cache: the next try would take it from there.
fn discard(path: &Path, file: &str, reason: String) -> Error {
    match fs::remove_file(path) {
        Ok(()) => Error::Wrong {
            file: file.to_owned(),
            reason,
        },
        Err(kept) => Error::Kept {
            path: path.to_owned(),
            reason,
            kept,
        },
    }
}
