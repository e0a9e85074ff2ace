//! Arrays of pixels: NumPy's files, safetensors, IDX, and CIFAR's records.
//!
//! Reading order: [`Array`] (images one after the other in a file), [`layout`] (the axes of an
//! image), [`source`] (the bytes), then a module for each format.

mod cifar;
mod idx;
mod integers;
mod layout;
mod named;
mod npy;
mod npz;
mod safetensors;
mod source;
pub(crate) mod tensors;

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use image::DynamicImage;

use crate::{Error, Malformed, Result, content::skip};

use super::{Class, Collection, Container, Entry, Part, Pictures, Stored, names};

use layout::{Layout, Order};
pub(crate) use npy::MAGIC;
use source::Source;

/// Images of one shape in a file, one after the other.
struct Array {
    source: Source,
    /// The name of the array, where a file has several.
    key: String,
    /// The part that names tell.
    part: Option<Part>,
    /// Bytes before the first image.
    start: u64,
    /// Bytes before each image.
    lead: usize,
    layout: Layout,
    count: usize,
    labels: Option<Vec<u32>>,
    /// Rows of values, as in the files of the downsampled ImageNet.
    is_rows: bool,
    /// Names of the classes, if the file or one beside it has them.
    class_names: Option<Vec<String>>,
}

/// Formats of files of arrays.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Npy,
    Npz,
    Safetensors,
    Idx,
    Cifar,
}

impl Format {
    /// The format that a file's name, in small letters, stands for.
    fn of(name: &str) -> Option<Self> {
        let plain = name.strip_suffix(".gz").unwrap_or(name);
        let ends = |ending| plain.ends_with(ending);
        match () {
            () if ends(".npz") => Some(Self::Npz),
            () if ends(".safetensors") => Some(Self::Safetensors),
            () if ends(".npy") => Some(Self::Npy),
            () if ends("-ubyte") => Some(Self::Idx),
            () if ends(".bin") => Some(Self::Cifar),
            () => None,
        }
    }
}

/// True if a file of this name, in small letters, holds an array.
pub(super) fn is_one(name: &str) -> bool {
    Format::of(name).is_some()
}

/// The picture of pixels `[C, H, W]` of 1 to 4 channels.
pub(super) fn picture(
    (channels, height, width): (usize, usize, usize),
    pixels: Vec<u8>,
) -> Result<DynamicImage, Malformed> {
    let layout = Layout {
        channels,
        height,
        width,
        order: Order::First,
    };
    layout.picture(pixels)
}

/// Lists the images of files of one format.
pub(super) fn open(root: &Path, files: &[PathBuf]) -> Result<Collection> {
    let format = |file: &PathBuf| Format::of(&names::below(root, file).to_ascii_lowercase());
    let files = unpacked(files);
    let Some(first) = files.first() else {
        return Err(Error::format(root, "holds no arrays"));
    };
    if let Some(other) = files.iter().find(|file| format(file) != format(first)) {
        let first = first.display();
        let reason = format!("is of another kind than `{first}` beside it; name one of them");
        return Err(Error::format(other, reason));
    }
    let each = |read: fn(&Path, &Path) -> Result<Vec<Array>>| {
        let arrays = files.iter().map(|file| read(root, file));
        Ok(arrays
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .flatten()
            .collect())
    };
    let arrays = match format(first) {
        Some(Format::Npz) => each(npz::open),
        Some(Format::Safetensors) => each(safetensors::open),
        Some(Format::Cifar) => each(cifar::open),
        Some(Format::Idx) => idx::open(root, &files),
        Some(Format::Npy) | None => npy::open(root, &files),
    };
    collection(root, arrays?)
}

/// The files without those under gzip that lie unpacked beside it.
fn unpacked(files: &[PathBuf]) -> Vec<PathBuf> {
    let is_twin = |file: &PathBuf| {
        let is_packed = file.extension().is_some_and(|extension| extension == "gz");
        is_packed && files.contains(&file.with_extension(""))
    };
    files
        .iter()
        .filter(|file| !is_twin(file))
        .cloned()
        .collect()
}

fn collection(root: &Path, mut arrays: Vec<Array>) -> Result<Collection> {
    let class_names = arrays.first().and_then(|array| array.class_names.clone());
    if let Some(other) = arrays.iter().find(|array| array.class_names != class_names) {
        let reason = "has other classes than the files beside it";
        return Err(Error::format(&other.source.path, reason));
    }
    named::count_from_zero(&mut arrays);
    let parts = names::unless_same(arrays.iter().map(|array| array.part).collect());
    let mut entries = Vec::new();
    for (array, part) in arrays.iter().zip(parts) {
        let prefix = prefix(root, array, &arrays);
        entries.extend((0..array.count).map(|place| {
            Entry {
                name: format!("{prefix}{place}"),
                class: array
                    .labels
                    .as_ref()
                    .map(|labels| Class::Number(labels[place])),
                part,
            }
        }));
    }
    for array in &mut arrays {
        array.labels = None;
    }
    Ok(Collection {
        entries,
        class_names,
        container: Box::new(Arrays(arrays)),
    })
}

/// The begin of the names of an array's images: its file, if there are several, and its key, if its
/// file has several arrays of images.
fn prefix(root: &Path, array: &Array, all: &[Array]) -> String {
    let is_here = |other: &&Array| other.source.path == array.source.path;
    let here = all.iter().filter(is_here).count();
    let mut prefix = String::new();
    if here < all.len() {
        prefix = format!("{}/", names::below(root, &array.source.path));
    }
    if here > 1 {
        prefix = format!("{prefix}{}/", array.key);
    }
    prefix
}

/// Arrays, whose images are read when they are asked for.
struct Arrays(Vec<Array>);

impl Container for Arrays {
    fn pictures(&self) -> Result<Pictures<'_>> {
        Ok(Box::new(self.0.iter().flat_map(Array::pictures)))
    }
}

impl Array {
    fn pictures(&self) -> impl Iterator<Item = Result<Stored, Malformed>> + '_ {
        let mut content = self.source.open().and_then(|mut content| {
            let passed = skip(&mut content, self.start);
            passed.map(|()| content)
        });
        (0..self.count).map(move |_| {
            let content = content.as_mut().map_err(|error| error.to_string())?;
            let mut bytes = vec![0; self.layout.bytes()];
            skip(content, self.lead as u64)
                .and_then(|()| content.read_exact(&mut bytes))
                .map_err(|_| Malformed::from("it is cut off"))?;
            self.layout.picture(bytes).map(Stored::Pixels)
        })
    }
}
