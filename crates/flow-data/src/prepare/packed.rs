//! The file of prepared images: safetensors with `images` `[N, C, H, W]` and `labels` `[N]`.
//!
//! The header is written last, into room that was left for it, when the number of images, their
//! histogram and their digest are known. Only then the file gets its name.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use safetensors::{
    Dtype,
    tensor::{Metadata, TensorInfo},
};
use serde::{Deserialize, Serialize};
use sha2::Digest;
use tempfile::NamedTempFile;

use crate::{
    Dataset, Error, Result,
    dataset::{Summary, digest_of_labels},
    picture::Fitting,
    pixels::{PixelFile, Pixels},
    source::hex,
    tensors::{self, IMAGES, LABELS, RECORD},
};

/// Bytes that are read at once.
const BUFFER: usize = 1 << 20;

/// Facts about the prepared images of a split.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// Names of the classes; none where they are unknown.
    pub(super) classes: Vec<String>,
    pub(super) fitting: Fitting,
    /// Pictures of the collection that were left out since they cannot be read.
    pub(super) damaged: usize,
    /// Of the images, in hexadecimal digits.
    digest: String,
    histogram: Vec<u64>,
}

/// A file that is being written. It is removed unless it is finished.
pub(super) struct Writer {
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
    record: Record,
    labels: Vec<u32>,
    /// Bytes of the header, with its length.
    header: usize,
}

impl Writer {
    /// Begins a file of at most `count` images.
    pub(super) fn create(
        path: &Path,
        classes: &[String],
        fitting: Fitting,
        count: usize,
    ) -> Result<Self> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let (c, h, w) = fitting.shape();
        ensure_room(folder, (count * (c * h * w + 4)) as u64)?;
        // No number is longer.
        let record = Record {
            classes: classes.to_vec(),
            fitting,
            damaged: usize::MAX,
            digest: "0".repeat(64),
            histogram: vec![u64::MAX; 256],
        };
        let header = header(&record, count).len().next_multiple_of(8) + 8;
        // Open to all who may read the folder, as a file of `tempfile`'s own is not.
        let file = tempfile::Builder::new()
            .make_in(folder, |path| File::create_new(path))
            .and_then(|mut file| file.write_all(&vec![b' '; header]).map(|()| file))
            .map_err(|source| write_error(path, source))?;
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::new(file),
            record: Record {
                histogram: vec![0; 256],
                ..record
            },
            labels: Vec::with_capacity(count),
            header,
        })
    }

    /// Adds an image.
    pub(super) fn add(&mut self, pixels: &[u8], label: u32) -> Result<()> {
        for &value in pixels {
            self.record.histogram[usize::from(value)] += 1;
        }
        self.labels.push(label);
        let written = self.file.write_all(pixels);
        written.map_err(|source| write_error(&self.path, source))
    }

    /// Gives the file its header and its name.
    pub(super) fn finish(self, damaged: usize) -> Result<()> {
        let path = self.path.clone();
        self.close(damaged)
            .map_err(|source| write_error(&path, source))
    }

    fn close(mut self, damaged: usize) -> io::Result<()> {
        for label in &self.labels {
            self.file.write_all(&label.to_le_bytes())?;
        }
        let mut file = self
            .file
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        let (c, h, w) = self.record.fitting.shape();
        let bytes = (self.labels.len() * c * h * w) as u64;
        let mut hash = digest_of_labels((c, h, w), self.labels.iter().copied());
        file.seek(SeekFrom::Start(self.header as u64))?;
        let mut buffer = vec![0; BUFFER];
        for start in (0..bytes).step_by(BUFFER) {
            let buffer = &mut buffer[..BUFFER.min((bytes - start) as usize)];
            file.read_exact(buffer)?;
            hash.update(&*buffer);
        }
        self.record.damaged = damaged;
        self.record.digest = hex(&hash.finalize());
        let header = header(&self.record, self.labels.len());
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&((self.header - 8) as u64).to_le_bytes())?;
        file.write_all(header.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        Ok(())
    }
}

/// The JSON of a header.
fn header(record: &Record, count: usize) -> String {
    let (c, h, w) = record.fitting.shape();
    let images = count * c * h * w;
    let tensor = |dtype, shape, (start, end)| TensorInfo {
        dtype,
        shape,
        data_offsets: (start, end),
    };
    let tensors = vec![
        (
            IMAGES.to_owned(),
            tensor(Dtype::U8, vec![count, c, h, w], (0, images)),
        ),
        (
            LABELS.to_owned(),
            tensor(Dtype::U32, vec![count], (images, images + 4 * count)),
        ),
    ];
    let record = serde_json::to_string(record).expect("a record is JSON");
    let metadata = HashMap::from([(RECORD.to_owned(), record)]);
    let metadata = Metadata::new(Some(metadata), tensors).expect("the tensors follow each other");
    serde_json::to_string(&metadata).expect("a header is JSON")
}

/// A data set from a finished file, and its record.
///
/// # Errors
/// The file cannot be read, or is not of this form.
pub(super) fn open(name: &str, path: &Path) -> Result<(Dataset, Record)> {
    let mut file = File::open(path).map_err(|source| Error::io(path, source))?;
    let (record, start, labels) = parse(&mut file)
        .map_err(|source| Error::io(path, source))?
        .ok_or_else(|| Error::format(path, "was not prepared by this program; delete it"))?;
    let digest = (0..64)
        .step_by(2)
        .map(|at| u8::from_str_radix(record.digest.get(at..at + 2)?, 16).ok());
    let digest = digest
        .collect::<Option<Vec<_>>>()
        .and_then(|bytes| bytes.try_into().ok());
    let pixels = Pixels::File(Arc::new(PixelFile {
        path: path.to_owned(),
        file: Mutex::new(file),
        start,
    }));
    let data = Dataset::of(
        name,
        record.classes.clone(),
        record.fitting.shape(),
        pixels,
        labels,
    );
    let data = match digest {
        Some(digest) => data.with_summary(Summary {
            digest,
            histogram: record.histogram.clone(),
        }),
        None => data,
    };
    Ok((data, record))
}

/// True if the file is there, in full.
pub(super) fn is_whole(path: &Path) -> bool {
    File::open(path)
        .and_then(|mut file| parse(&mut file))
        .is_ok_and(|found| found.is_some())
}

/// The record, the place of the first pixel, and the labels.
fn parse(file: &mut File) -> io::Result<Option<(Record, u64, Vec<u32>)>> {
    let Some((metadata, start)) = tensors::read_header(file)? else {
        return Ok(None);
    };
    let record = metadata.metadata().as_ref().and_then(|all| all.get(RECORD));
    let record = record.and_then(|record| serde_json::from_str::<Record>(record).ok());
    let tensors = metadata.info(IMAGES).zip(metadata.info(LABELS));
    let (Some(record), Some((images, labels))) = (record, tensors) else {
        return Ok(None);
    };
    let (c, h, w) = record.fitting.shape();
    if images.shape.get(1..) != Some(&[c, h, w]) {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(start + labels.data_offsets.0 as u64))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let (numbers, _) = bytes.as_chunks();
    let labels = numbers.iter().copied().map(u32::from_le_bytes).collect();
    Ok(Some((record, start, labels)))
}

/// An error if the disk has no room for so many bytes more.
fn ensure_room(folder: &Path, bytes: u64) -> Result<()> {
    let left = fs4::available_space(folder).map_err(|source| write_error(folder, source))?;
    if left < bytes {
        return Err(Error::NoRoom {
            path: folder.to_owned(),
            bytes,
            left,
        });
    }
    Ok(())
}

fn write_error(path: &Path, source: io::Error) -> Error {
    let path = path.to_owned();
    Error::Write { path, source }
}
