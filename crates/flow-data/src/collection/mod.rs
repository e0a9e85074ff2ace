//! Whatever holds pictures: folders, archives, arrays.
//!
//! A [`Collection`] lists its pictures first, with their names, classes and splits, and hands out
//! the pictures themselves in the same order, one after the other. So a collection may be larger
//! than memory.

mod archive;
pub(crate) mod arrays;
mod folder;
mod kind;
mod names;
mod parquet;
mod published;
mod sources;
mod tar;
mod zip;

use std::path::PathBuf;

use image::DynamicImage;

use crate::{Malformed, Result};

use kind::Kind;
#[cfg(feature = "hub")]
pub(crate) use names::{common_folders, part_of};
#[cfg(feature = "hub")]
pub(crate) use parquet::Record;
pub use sources::{Sources, files_below};

/// Pictures on disk.
pub struct Collection {
    /// One entry for each picture.
    pub entries: Vec<Entry>,
    /// Names of the classes that entries give by number, where the collection knows them.
    pub class_names: Option<Vec<String>>,
    container: Box<dyn Container>,
}

/// A picture of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path inside the collection, or its number; unique.
    pub name: String,
    /// Its class, if known.
    pub class: Option<Class>,
    /// The part it belongs to, if the collection has parts.
    pub part: Option<Part>,
}

/// A part of a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Training images.
    Train,
    /// Test images.
    Test,
    /// Test images where there are no others.
    Validation,
}

/// A class, as a collection gives it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// A number from 0.
    Number(u32),
    /// A name, such as that of a folder.
    Name(String),
}

/// A picture as it is stored.
pub enum Stored {
    /// A file of its own.
    File(PathBuf),
    /// The content of such a file.
    Encoded(Vec<u8>),
    /// Pixels of an array.
    Pixels(DynamicImage),
}

/// Pictures in the order of a collection's entries. An error stands for the picture that cannot be
/// read; those after it follow.
pub type Pictures<'a> = Box<dyn Iterator<Item = Result<Stored, Malformed>> + 'a>;

/// Access to the pictures behind the entries of a collection.
pub trait Container: Send + Sync {
    /// The pictures, in the order of the entries.
    ///
    /// # Errors
    /// A file cannot be opened.
    fn pictures(&self) -> Result<Pictures<'_>>;
}

impl Collection {
    /// The pictures, in the order of the entries.
    ///
    /// # Errors
    /// A file cannot be opened.
    pub fn pictures(&self) -> Result<Pictures<'_>> {
        self.container.pictures()
    }
}
