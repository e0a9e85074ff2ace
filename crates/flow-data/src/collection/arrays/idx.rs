//! IDX files of any size: images `[N, H, W]`, `[N, C, H, W]` or `[N, H, W, C]`, and their labels.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use crate::{
    Error, Result,
    idx::{header_bytes, read_shape},
};

use super::{Array, Layout, Source, integers::Integers, names};

/// Words of a file's name that tell its format.
const FORMAT: [&str; 8] = [
    "images", "labels", "idx1", "idx3", "idx4", "ubyte", "gz", "",
];

/// A file, and the dimensions of its array.
struct File {
    path: PathBuf,
    /// Its place and the words of its name that those of images and labels share.
    key: String,
    shape: Vec<usize>,
}

/// Arrays of images in files, with the labels beside them.
pub(super) fn open(root: &Path, files: &[PathBuf]) -> Result<Vec<Array>> {
    let files = files.iter().map(|path| File::read(root, path));
    let files = files.collect::<Result<Vec<_>>>()?;
    let (mut labels, images): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|file| file.shape.len() == 1);
    let mut arrays = Vec::new();
    for file in images {
        let own = labels.iter().position(|labels| labels.key == file.key);
        let own = own.map(|place| labels.remove(place));
        arrays.push(file.images(own.as_ref())?);
    }
    match labels.first() {
        None => Ok(arrays),
        Some(File { path, .. }) => Err(Error::format(
            path,
            "holds labels, but no images of such a name lie beside it",
        )),
    }
}

impl File {
    fn read(root: &Path, path: &Path) -> Result<Self> {
        let io = |error| Error::io(path, error);
        let mut content = Source::whole(path).open().map_err(io)?;
        let Some(shape) = read_shape(&mut content).map_err(io)? else {
            return Err(Error::format(path, "is not an IDX file of bytes"));
        };
        let name = names::below(root, path).to_ascii_lowercase();
        let words = name.split(['-', '.', '_']);
        let words = words.filter(|word| !FORMAT.contains(word));
        Ok(Self {
            path: path.to_owned(),
            key: words.collect::<Vec<_>>().join("-"),
            shape,
        })
    }

    fn images(self, labels: Option<&Self>) -> Result<Array> {
        let (count, layout) =
            Layout::of(&self.shape, None).map_err(|reason| Error::format(&self.path, reason))?;
        let start = self.ensure_length(count, layout.bytes())?;
        let labels = labels.map(|labels| labels.labels(count)).transpose()?;
        Ok(Array {
            source: Source::whole(self.path),
            part: names::part_in(&self.key),
            key: self.key,
            start,
            lead: 0,
            layout,
            count,
            labels,
            class_names: None,
            is_rows: false,
        })
    }

    fn labels(&self, count: usize) -> Result<Vec<u32>> {
        let found = self.shape.first().copied().unwrap_or(0);
        if found != count {
            let reason = format!("does not go with its images: {found} against {count}");
            return Err(Error::format(&self.path, reason));
        }
        let start = self.ensure_length(count, 1)?;
        let io = |error| Error::io(&self.path, error);
        let mut content = Source::whole(&self.path).open().map_err(io)?;
        crate::content::skip(&mut content, start).map_err(io)?;
        let labels = Integers::U8.read(content.take(count as u64), count);
        labels.map_err(|reason| Error::format(&self.path, reason))
    }

    /// Bytes of the header, if those of the elements follow.
    fn ensure_length(&self, count: usize, bytes: usize) -> Result<u64> {
        let start = header_bytes(self.shape.len());
        let elements = (count as u64).saturating_mul(bytes as u64);
        let source = Source::whole(&self.path);
        source.ensure_length(start.saturating_add(elements))?;
        Ok(start)
    }
}
