//! Errors between a file on disk and a batch of tensors.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{DatasetName, source::File};

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
    #[error("cannot download `{file}` of `{repository}`: {reason}")]
    Download {
        /// Owner and name of the repository.
        repository: String,
        /// Path of the file in it.
        file: String,
        /// The innermost cause.
        reason: String,
    },
    /// The hub wants a token that may read a file: set `HF_TOKEN`.
    #[cfg(feature = "hub")]
    #[error("cannot download `{file}` of `{repository}`: {reason}")]
    Denied {
        /// Owner and name of the repository.
        repository: String,
        /// Path of the file in it.
        file: String,
        /// The hub's answer.
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
    /// A folder could not be written to.
    #[cfg(feature = "hub")]
    #[error("cannot write to `{path}`")]
    Write {
        /// The folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A tensor could not be made.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
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
