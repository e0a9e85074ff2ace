//! The files that a data set is read from.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use crate::{Error, Result, picture};

use super::{Collection, Kind, folder, parquet::Record};

/// The files that a data set is read from: image files, or files that hold many images.
#[derive(Clone, Debug)]
pub struct Sources {
    root: PathBuf,
    files: Vec<PathBuf>,
    /// The kind of the files; nothing for image files.
    kind: Option<Kind>,
}

impl Sources {
    /// The files at `path`: a file, a folder and what lies below it, or numbered files such as
    /// `shard-{000..127}.tar`. Names that begin with a dot are hidden and left out.
    ///
    /// # Errors
    /// Nothing is there, or files of several kinds, or none that holds images.
    pub fn find(path: &Path) -> Result<Self> {
        let numbered = numbered(path)?;
        if let Some(files) = numbered {
            let root = path.parent().unwrap_or(Path::new("")).to_owned();
            return Self::of(root, files, path);
        }
        if !path.exists() {
            return Err(Error::format(path, "is not there"));
        }
        if !path.is_dir() {
            let root = path.parent().unwrap_or(Path::new("")).to_owned();
            return Self::of(root, vec![path.to_owned()], path);
        }
        let files = files_below(path).into_iter().collect::<Result<_>>()?;
        Self::of(path.to_owned(), files, path)
    }

    fn of(root: PathBuf, files: Vec<PathBuf>, asked: &Path) -> Result<Self> {
        let files = files
            .into_iter()
            .filter(|file| Kind::of(file).is_some() || picture::has_extension(file));
        let files = files.collect::<Vec<_>>();
        let kind = files.first().and_then(|file| Kind::of(file));
        if let Some(other) = files.iter().find(|file| Kind::of(file) != kind) {
            let reason = format!(
                "is of another kind than `{}` beside it; name one of them, or move it away",
                files[0].display()
            );
            return Err(Error::format(other, reason));
        }
        if files.is_empty() {
            let reason = if asked.is_dir() {
                "holds no images: neither image files nor .tar, .zip, .parquet, .npy, .npz, \
                 .safetensors, IDX or CIFAR files"
            } else {
                "is no data set: neither a folder of images nor a .tar, .zip, .parquet, .npy, .npz, \
                 .safetensors, IDX or CIFAR file"
            };
            return Err(Error::format(asked, reason));
        }
        Ok(Self { root, files, kind })
    }

    /// The number of files.
    pub fn count(&self) -> usize {
        self.files.len()
    }

    /// The noun for a file of this kind, such as `image file` and `tar archive`.
    pub fn noun(&self) -> &'static str {
        self.kind.map_or("image file", Kind::noun)
    }

    /// SHA-256 of names below the folder, sizes and times of change of all files, and of the choice
    /// of their columns.
    ///
    /// # Errors
    /// A file is not there any more.
    pub fn fingerprint(&self) -> Result<[u8; 32]> {
        let mut hash = Sha256::new();
        // The choice of columns makes other images of the same files.
        let record = self.root.join(Record::FILE);
        let record = (self.kind == Some(Kind::Parquet) && record.is_file()).then_some(record);
        for file in self.files.iter().chain(&record) {
            let facts = fs::metadata(file).map_err(|source| Error::io(file, source))?;
            let modified = facts.modified().ok();
            let age = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            let below = file.strip_prefix(&self.root).unwrap_or(file);
            hash.update(below.as_os_str().as_encoded_bytes());
            hash.update([0]);
            hash.update(facts.len().to_le_bytes());
            hash.update(age.map_or(0, |age| age.as_nanos()).to_le_bytes());
        }
        Ok(hash.finalize().into())
    }

    /// Lists the pictures.
    ///
    /// # Errors
    /// A file is damaged, or of a layout that is not known.
    pub fn open(&self) -> Result<Collection> {
        match self.kind {
            None => Ok(folder::open(&self.root, &self.files)),
            Some(kind) => kind.open(&self.root, &self.files),
        }
    }
}

/// The files below a folder, by name, folder by folder; an error stands for a folder that cannot
/// be read. Names that begin with a dot are hidden and left out. Links are followed; those that
/// lead nowhere or back are left out, unless their names are those of image files.
pub fn files_below(folder: &Path) -> Vec<Result<PathBuf>> {
    let entries = WalkDir::new(folder).follow_links(true).sort_by_file_name();
    let shown = entries
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry.file_name()));
    let file = |entry: walkdir::Result<walkdir::DirEntry>| match entry {
        Ok(entry) if entry.file_type().is_dir() => None,
        Ok(entry) => Some(Ok(entry.into_path())),
        Err(error) => unread(error),
    };
    shown.filter_map(file).collect()
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// The result for an entry that cannot be followed.
fn unread(error: walkdir::Error) -> Option<Result<PathBuf>> {
    let path = error.path().map(Path::to_owned)?;
    if error.loop_ancestor().is_some() || path.file_name().is_some_and(is_hidden) {
        return None;
    }
    if path.is_symlink() {
        return picture::has_extension(&path).then_some(Ok(path));
    }
    let source = error.into_io_error()?;
    Some(Err(Error::Io { path, source }))
}

/// The files of a pattern such as `shard-{000..127}.tar`, which numbers them as a shell does;
/// nothing if the path is no pattern.
fn numbered(path: &Path) -> Result<Option<Vec<PathBuf>>> {
    let pattern = (!path.exists()).then(|| path.to_str()).flatten();
    let Some((before, rest)) = pattern.and_then(|pattern| pattern.split_once('{')) else {
        return Ok(None);
    };
    let range = rest.split_once('}').and_then(|(range, after)| {
        let (first, last) = range.split_once("..")?;
        let numbers = first.parse::<u32>().ok()?..=last.parse().ok()?;
        Some((numbers, first.len(), after))
    });
    let Some((numbers, digits, after)) = range.filter(|(numbers, ..)| !numbers.is_empty()) else {
        let reason = "is not a range of files such as `shard-{000..127}.tar`";
        return Err(Error::format(path, reason));
    };
    // The first that is not there ends the range, however large it is.
    let files = numbers.map(|number| {
        let file = PathBuf::from(format!("{before}{number:0digits$}{after}"));
        if file.is_file() {
            Ok(file)
        } else {
            Err(Error::format(&file, "is not there"))
        }
    });
    files.collect::<Result<_>>().map(Some)
}
