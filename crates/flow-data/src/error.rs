//! Errors between a file on disk and a batch of tensors.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{DatasetName, Malformed, source::File};

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors, grouped by what the caller can do about them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing of the data set is there: fetch it.
    #[error("{}", missing(*dataset, *file, root))]
    Missing {
        /// The data set.
        dataset: DatasetName,
        /// The first of the files that were looked for.
        file: File,
        /// The folder below which they were looked for.
        root: PathBuf,
    },
    /// Some files of the data set are there, others are not: fetch it again.
    #[error("`{}` holds a part of {dataset}, but not `{file}`", folder.display())]
    Incomplete {
        /// The data set.
        dataset: DatasetName,
        /// Folder of the others.
        folder: PathBuf,
        /// The file that is missing.
        file: &'static str,
    },
    /// A file is there twice: remove the wrong one.
    #[error(
        "`{}` and `{}` are the same file by name, but not by content; remove the wrong one",
        first.display(), second.display()
    )]
    Ambiguous {
        /// One of the two.
        first: PathBuf,
        /// The other one.
        second: PathBuf,
    },
    /// A file's content does not match its name: replace it.
    #[error("`{path}` {reason}")]
    Format {
        /// The file.
        path: PathBuf,
        /// The fault, as the rest of a sentence that starts with the path.
        reason: String,
    },
    /// A file could not be read.
    #[error("cannot read `{path}`")]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A name that is unknown.
    #[error("unknown {kind} `{name}`; expected {expected}")]
    Unknown {
        /// Kind of the name, such as `data set`.
        kind: &'static str,
        /// The name that was given.
        name: String,
        /// The names there are.
        expected: &'static str,
    },
    /// Pixels and labels that do not make up a data set.
    #[error("`{name}` is no data set: {reason}")]
    Content {
        /// The name that it was to have.
        name: String,
        /// The fault.
        reason: String,
    },
    /// An image was asked for that the data set does not have.
    #[error("no image {index} in a data set of {len}")]
    Index {
        /// The image asked for.
        index: usize,
        /// Number of images.
        len: usize,
    },
    /// The address of the hub, `HF_ENDPOINT`, is invalid.
    #[cfg(feature = "hub")]
    #[error("cannot use the hub; check `HF_ENDPOINT`: `{0}` is not an address")]
    Endpoint(String),
    /// A file of the hub could not be downloaded: try again.
    #[cfg(feature = "hub")]
    #[error("cannot download {} of `{repository}`: {reason}", download(file.as_deref()))]
    Download {
        /// Owner and name of the repository.
        repository: String,
        /// Path of the file in it; nothing for the list of its files.
        file: Option<String>,
        /// The innermost cause.
        reason: String,
    },
    /// The hub wants a token that may read a file: set `HF_TOKEN`.
    #[cfg(feature = "hub")]
    #[error("cannot download {} of `{repository}`: {reason}", download(file.as_deref()))]
    Denied {
        /// Owner and name of the repository.
        repository: String,
        /// Path of the file in it; nothing for the list of its files.
        file: Option<String>,
        /// The hub's answer.
        reason: String,
    },
    /// A repository of the hub does not hold what was asked for.
    #[cfg(feature = "hub")]
    #[error("`hub:{repository}` {reason}")]
    Repository {
        /// Owner and name of the repository.
        repository: String,
        /// The reason, as the rest of a sentence.
        reason: String,
    },
    /// A download differs from what the hub announced, or from what is published; it is removed
    /// from the cache.
    #[cfg(feature = "hub")]
    #[error("the download `{file}` was wrong and is deleted: {reason}")]
    Wrong {
        /// Path of the file in the repository.
        file: String,
        /// The difference.
        reason: String,
    },
    /// A wrong download is still in the cache: delete it.
    #[cfg(feature = "hub")]
    #[error("the download is wrong: {reason}; delete `{path}` ({kept})")]
    Kept {
        /// Place of the file in the cache.
        path: PathBuf,
        /// The difference.
        reason: String,
        /// The reason why it could not be deleted.
        kept: io::Error,
    },
    /// A picture of a collection cannot be read.
    #[error("cannot read the image `{name}`: {reason}")]
    Damaged {
        /// Its name in the collection.
        name: String,
        /// The reason.
        reason: Malformed,
    },
    /// A picture of a collection does not go with the others.
    #[error("the image `{name}` {reason}")]
    Misplaced {
        /// Its name in the collection.
        name: String,
        /// The rest of the sentence, with what to do.
        reason: String,
    },
    /// A folder could not be written to.
    #[error("cannot write to `{path}`")]
    Write {
        /// The folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The disk has no room for the prepared images: free some, or choose another folder.
    #[error(
        "no room in `{path}`: the prepared images take {} MB, and {} MB are free",
        bytes.div_ceil(1_000_000), left / 1_000_000
    )]
    NoRoom {
        /// The folder of prepared images.
        path: PathBuf,
        /// Bytes that are needed.
        bytes: u64,
        /// Bytes that are free.
        left: u64,
    },
    /// A tensor could not be made.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

impl Error {
    /// A file whose fault is `reason`, the rest of a sentence that starts with its path.
    pub(crate) fn format(path: &Path, reason: impl Into<String>) -> Self {
        let (path, reason) = (path.to_owned(), reason.into());
        Self::Format { path, reason }
    }

    /// A file that cannot be read.
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        Self::Io { path, source }
    }
}

/// A file of the hub, or the list of files.
#[cfg(feature = "hub")]
fn download(file: Option<&str>) -> String {
    file.map_or_else(|| "the list of files".into(), |file| format!("`{file}`"))
}

/// Everything that was looked for, in one line.
fn missing(dataset: DatasetName, file: File, root: &Path) -> String {
    let lists = [file.spellings(), dataset.source().folders_inside()].map(|names| {
        let names = names.iter().filter(|name| !name.is_empty());
        let quoted = names.map(|name| format!("`{name}`"));
        quoted.collect::<Vec<_>>().join(", ")
    });
    let [files, folders] = lists;
    format!(
        "`{}` does not hold {dataset}: looked for {files} in it and in its folders {folders}",
        root.display()
    )
}
