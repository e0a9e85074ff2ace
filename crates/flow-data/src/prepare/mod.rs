//! Preparation: whatever holds pictures, once, into a file of images of one shape for each split.
//!
//! Reading order: [`prepare`], then [`plan`] (which picture is in which split and class),
//! [`formats`] (sizes and colors as found), [`packed`] (the file). A file is named by what went
//! into it, so that a second start finds it, and changed pictures do not. [`survey`] looks at all
//! pictures and writes nothing.

mod formats;
mod packed;
mod plan;
mod survey;
mod write;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    Dataset, Error, Result, Split, Watch,
    collection::Sources,
    picture::{Color, Fit, Fitting},
    source::hex,
};

pub use formats::Formats;
pub use survey::Survey;

/// Changes with the content of files that are prepared from the same pictures.
const VERSION: u32 = 1;

/// The way that pictures become a data set. What is not given follows from the pictures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preparation {
    /// Height and width of images. Without them, the size of all pictures, if that is one of at
    /// most 128 pixels a side; otherwise a square of 64 pixels a side or less.
    pub size: Option<(usize, usize)>,
    /// Scaling of pictures of another size.
    pub fit: Fit,
    /// Channels of images. Without them, three if any picture is in color.
    pub color: Option<Color>,
    /// The color behind transparent pictures, and beside padded ones.
    pub background: Option<[u8; 3]>,
    /// Share of the images that are test images where the collection has no split for these; 1 for
    /// all of them.
    pub test_share: f64,
    /// Seed of the choice of test images.
    pub seed: u64,
    /// Pictures that cannot be read are left out and counted, rather than an error.
    pub skip_damaged: bool,
}

/// A collection as a data set.
#[derive(Debug)]
pub struct Prepared {
    /// Training images.
    pub train: Dataset,
    /// Test images.
    pub test: Dataset,
    /// The shape of images, and the way that pictures got to it.
    pub fitting: Fitting,
    /// Pictures that were left out since they cannot be read.
    pub damaged: usize,
}

impl Default for Preparation {
    fn default() -> Self {
        Self {
            size: None,
            fit: Fit::default(),
            color: None,
            background: Some([255; 3]),
            test_share: 0.1,
            seed: 0,
            skip_damaged: false,
        }
    }
}

/// Prepares the pictures at `path` ([`Sources::find`]) in a file for each split in the folder
/// `cache`, unless these are there. `name` is that of the data set.
///
/// Processes that prepare the same data wait for the first of them.
///
/// # Errors
///
/// Nothing is at `path`, a picture is damaged, classes do not go together, or there is no room or
/// no permission to write.
pub fn prepare(
    name: &str,
    path: &Path,
    preparation: &Preparation,
    cache: &Path,
    watch: Watch<'_>,
) -> Result<Prepared> {
    let sources = Sources::find(path)?;
    let key = key(&sources, preparation)?;
    let write = |source| Error::Write {
        path: cache.to_owned(),
        source,
    };
    fs::create_dir_all(cache).map_err(write)?;
    let stem = cache.join(format!("{}-{key}", file_name(name)));
    let lock = File::create(stem.with_added_extension("lock")).map_err(write)?;
    lock.lock().map_err(write)?;
    let paths = [Split::Train, Split::Test].map(|split| packed_path(&stem, split));
    if !paths.iter().all(|path| packed::is_whole(path)) {
        write::write(&sources.open()?, preparation, &paths, watch)?;
    }
    let [train, test] = paths.map(|path| packed::open(name, &path));
    let ((train, record), (test, _)) = (train?, test?);
    Ok(Prepared {
        train,
        test,
        fitting: record.fitting,
        damaged: record.damaged,
    })
}

/// Digits that name what went into a prepared file.
fn key(sources: &Sources, preparation: &Preparation) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(VERSION.to_le_bytes());
    hash.update(sources.fingerprint()?);
    hash.update(serde_json::to_vec(preparation).expect("settings are JSON"));
    Ok(hex(&hash.finalize()[..8]))
}

/// A data set's name as part of that of a file.
fn file_name(name: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() { c } else { '-' };
    name.chars().map(plain).take(40).collect()
}

fn packed_path(stem: &Path, split: Split) -> PathBuf {
    let mut name = stem.as_os_str().to_owned();
    name.push(format!("-{split}.safetensors"));
    name.into()
}
