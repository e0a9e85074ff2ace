//! One split of a data set, in memory or in a file.

use std::{
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use candle_core::{Device, Tensor};
use sha2::{Digest, Sha256};

use crate::{
    DatasetName, Error, Result, Split, cifar10,
    content::Gzip,
    idx,
    pixels::Pixels,
    source::{Files, Part, open, owner_of_labels, sha256},
};

/// Number of classes of every published data set.
const CLASSES: usize = 10;

const BUNDLED: [&[u8]; 4] = [
    include_bytes!("../../../assets/mnist/train-images-idx3-ubyte.gz"),
    include_bytes!("../../../assets/mnist/train-labels-idx1-ubyte.gz"),
    include_bytes!("../../../assets/mnist/t10k-images-idx3-ubyte.gz"),
    include_bytes!("../../../assets/mnist/t10k-labels-idx1-ubyte.gz"),
];

/// The images of one split and their labels. Images stay u8, 0–255, in memory or in a file.
#[derive(Clone, Debug)]
pub struct Dataset {
    name: String,
    folder: Option<PathBuf>,
    classes: Arc<[String]>,
    /// Channels, height and width of an image as it is stored.
    stored: (usize, usize, usize),
    /// Height and width of an image as it is handed out.
    canvas: (usize, usize),
    pixels: Pixels,
    labels: Arc<[u32]>,
    /// The places of the images that are left, if not all are.
    kept: Option<Arc<[usize]>>,
    /// Facts of all stored images, where they were noted when these were written.
    summary: Option<Summary>,
}

/// Facts that take a look at every pixel.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    pub(crate) digest: [u8; 32],
    pub(crate) histogram: Vec<u64>,
}

/// Some images of a data set and their labels, both on the CPU.
#[derive(Clone, Debug)]
pub struct Batch {
    /// u8, 0–255, `[B, C, H, W]`.
    pub images: Tensor,
    /// u32, the classes from 0, `[B]`.
    pub labels: Tensor,
    /// Places of the images in the data set, from 0.
    pub indices: Vec<usize>,
}

impl Dataset {
    /// Reads a split from its files below `data_dir`: in `<data_dir>/<name>/`, where `fetch` puts
    /// them, or as other programs lay them out ([`Source::find`](crate::source::Source::find)).
    /// They may be under gzip or not.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] if all files are missing, [`Error::Incomplete`] if some are,
    /// [`Error::Ambiguous`] if two contradict each other, [`Error::Format`] if a file's content
    /// does not match its name.
    pub fn load(name: DatasetName, split: Split, data_dir: &Path) -> Result<Self> {
        let source = name.source();
        let Part { files, images, .. } = source.part(split);
        let paths = source.find(&files.all(), data_dir)?;
        let mut dataset = match (files, &*paths) {
            (Files::Idx { .. }, [pixels, labels]) => {
                let content = [(pixels, open(pixels)?), (labels, open(labels)?)];
                let [pixels, labels] = content.map(|(path, content)| (&**path, content));
                let dataset = read_idx(name, pixels, labels, *images)?;
                dataset.ensure_own_labels(split, &paths[1])?;
                dataset
            }
            _ => read_cifar10(name, &paths, *images)?,
        };
        let folder = paths.first().and_then(|path| path.parent());
        dataset.folder = folder.map(Path::to_owned);
        Ok(dataset)
    }

    /// The subset of MNIST that is part of this crate: 10,000 training and 2,000 test images.
    pub fn bundled(split: Split) -> Result<Self> {
        let [train_images, train_labels, test_images, test_labels] = BUNDLED;
        let (images, labels) = match split {
            Split::Train => (train_images, train_labels),
            Split::Test => (test_images, test_labels),
        };
        let most = DatasetName::Mnist.source().part(split).images;
        let content = |bytes| (Path::new("bundled mnist"), Gzip::new(bytes));
        read_idx(DatasetName::Mnist, content(images), content(labels), most)
    }

    /// Images `[N, C, H, W]` in memory, with a class of each: 0 for all, where there are no classes.
    ///
    /// # Errors
    ///
    /// [`Error::Content`] if the number of pixels or labels is not that of whole images, or a label
    /// is not a class.
    pub fn new(
        name: &str,
        classes: Vec<String>,
        shape: (usize, usize, usize),
        pixels: Vec<u8>,
        labels: Vec<u32>,
    ) -> Result<Self> {
        let (c, h, w) = shape;
        let refuse = |reason| {
            let name = name.to_owned();
            Err(Error::Content { name, reason })
        };
        if pixels.len() != labels.len() * c * h * w {
            let found = pixels.len();
            return refuse(format!(
                "{found} pixel values are not {} images of {c}×{h}×{w}",
                labels.len()
            ));
        }
        if let Some(label) = labels
            .iter()
            .find(|label| **label as usize >= classes.len().max(1))
        {
            return refuse(format!("there is no class {label} of {}", classes.len()));
        }
        let pixels = Pixels::Memory(pixels.into());
        Ok(Self::of(name, classes, shape, pixels, labels))
    }

    /// The same of pixels anywhere.
    pub(crate) fn of(
        name: &str,
        classes: Vec<String>,
        shape: (usize, usize, usize),
        pixels: Pixels,
        labels: Vec<u32>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            folder: None,
            classes: classes.into(),
            stored: shape,
            canvas: (shape.1, shape.2),
            pixels,
            labels: labels.into(),
            kept: None,
            summary: None,
        }
    }

    /// With facts that were noted before.
    pub(crate) fn with_summary(mut self, summary: Summary) -> Self {
        self.summary = Some(summary);
        self
    }

    /// Images of another height and width: cut off or filled up with black on opposite sides
    /// alike. The larger half of an odd difference is at the bottom or on the right.
    #[must_use]
    pub fn on_canvas(mut self, height: usize, width: usize) -> Self {
        self.canvas = (height, width);
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder that was read; nothing for the bundled subset.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        match &self.kept {
            Some(kept) => kept.len(),
            None => self.labels.len(),
        }
    }

    /// True if it holds no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Channels, height and width of an image.
    pub fn shape(&self) -> (usize, usize, usize) {
        (self.stored.0, self.canvas.0, self.canvas.1)
    }

    /// The number of classes: labels are below this. Images of unknown class are all of one.
    pub fn classes(&self) -> usize {
        self.classes.len()
    }

    /// The names of its classes.
    pub fn class_names(&self) -> &[String] {
        &self.classes
    }

    /// The class of each image; 0 where classes are unknown.
    pub fn labels(&self) -> Vec<u32> {
        (0..self.len()).map(|index| self.label(index)).collect()
    }

    /// Counts of each of the 256 values among all pixels of all channels.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the images cannot be read.
    pub fn histogram(&self) -> Result<[u64; 256]> {
        let is_stored = self.canvas == (self.stored.1, self.stored.2);
        if let Some(summary) = self
            .summary
            .as_ref()
            .filter(|_| is_stored && self.kept.is_none())
            && let Ok(histogram) = summary.histogram.as_slice().try_into()
        {
            return Ok(histogram);
        }
        let mut counts = [0; 256];
        self.each(|image| {
            for &value in image {
                counts[usize::from(value)] += 1;
            }
        })?;
        Ok(counts)
    }

    /// SHA-256 of the size of an image, all labels and all pixels, in their order, as they are
    /// stored.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the images cannot be read.
    pub fn digest(&self) -> Result<[u8; 32]> {
        if let Some(summary) = self.summary.as_ref().filter(|_| self.kept.is_none()) {
            return Ok(summary.digest);
        }
        let plain = self.clone().on_canvas(self.stored.1, self.stored.2);
        let labels = (0..self.len()).map(|i| self.label(i));
        let mut hash = digest_of_labels(self.stored, labels);
        plain.each(|image| hash.update(image))?;
        Ok(hash.finalize().into())
    }

    /// The images and labels at `indices`, in that order.
    ///
    /// # Errors
    ///
    /// [`Error::Index`] if an index is not below [`len`](Self::len).
    pub fn batch(&self, indices: &[usize]) -> Result<Batch> {
        self.batch_mirrored(indices, &[])
    }

    /// All images and labels, in their own order.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the images cannot be read.
    pub fn all(&self) -> Result<Batch> {
        self.batch(&(0..self.len()).collect::<Vec<_>>())
    }

    /// The images in their own order, for evaluation. The last batch may be smaller.
    ///
    /// # Panics
    ///
    /// If `batch_size` is zero.
    pub fn in_order(&self, batch_size: usize) -> impl ExactSizeIterator<Item = Result<Batch>> {
        assert!(batch_size > 0, "batches of zero images");
        (0..self.len().div_ceil(batch_size)).map(move |batch| {
            let start = batch * batch_size;
            let end = self.len().min(start + batch_size);
            self.batch(&(start..end).collect::<Vec<_>>())
        })
    }

    /// Keeps at most `limit` images, evenly spread over the set: files are often sorted in some
    /// way, and the first half of MNIST's test images is the easier one. Returns where they were.
    pub fn thin_out(&mut self, limit: usize) -> Vec<usize> {
        let len = self.len();
        if limit >= len {
            return (0..len).collect();
        }
        let kept: Vec<_> = (0..limit).map(|i| i * len / limit).collect();
        self.kept = Some(kept.iter().map(|&i| self.place(i)).collect());
        kept
    }

    /// An error if the labels, from the file at `path`, belong to another data set: files of MNIST
    /// and Fashion-MNIST have the same names.
    fn ensure_own_labels(&self, split: Split, path: &Path) -> Result<()> {
        let labels = self.labels.iter().map(|&label| label as u8);
        let digest = sha256(&idx::encode_labels(&labels.collect::<Vec<_>>()));
        match owner_of_labels(split, &digest) {
            Some(other) if other.as_str() != self.name => Err(Error::Format {
                path: path.to_owned(),
                reason: format!("belongs to {other}, not to {}", self.name),
            }),
            _ => Ok(()),
        }
    }

    /// As [`batch`](Self::batch), with left and right swapped in image `i` of the batch where
    /// `mirrored[i]`; an empty `mirrored` swaps none.
    pub(crate) fn batch_mirrored(&self, indices: &[usize], mirrored: &[bool]) -> Result<Batch> {
        let (c, h, w) = self.shape();
        let image = c * h * w;
        let mut pixels = vec![0; indices.len() * image];
        let mut labels = Vec::with_capacity(indices.len());
        for (i, &index) in indices.iter().enumerate() {
            let len = self.len();
            if index >= len {
                return Err(Error::Index { index, len });
            }
            labels.push(self.label(index));
            let pixels = &mut pixels[i * image..][..image];
            self.read(index, pixels)?;
            if mirrored.get(i) == Some(&true) {
                pixels.chunks_exact_mut(w).for_each(<[u8]>::reverse);
            }
        }
        let b = indices.len();
        Ok(Batch {
            images: Tensor::from_vec(pixels, (b, c, h, w), &Device::Cpu)?,
            labels: Tensor::from_vec(labels, b, &Device::Cpu)?,
            indices: indices.to_vec(),
        })
    }

    /// The place of image `index` among the stored ones.
    fn place(&self, index: usize) -> usize {
        self.kept.as_ref().map_or(index, |kept| kept[index])
    }

    fn label(&self, index: usize) -> u32 {
        self.labels[self.place(index)]
    }

    /// Fills `pixels`, which are black, with an image.
    fn read(&self, index: usize, pixels: &mut [u8]) -> Result<()> {
        let (c, h, w) = self.stored;
        let start = self.place(index) * c * h * w;
        let (height, width) = self.canvas;
        if (height, width) == (h, w) {
            return self.pixels.read(start, pixels);
        }
        let mut image = vec![0; c * h * w];
        self.pixels.read(start, &mut image)?;
        let [(from_y, to_y), (from_x, to_x)] = [(h, height), (w, width)]
            .map(|(from, to)| (from.saturating_sub(to) / 2, to.saturating_sub(from) / 2));
        let (rows, columns) = (h.min(height), w.min(width));
        for (channel, to) in image
            .chunks_exact(h * w)
            .zip(pixels.chunks_exact_mut(height * width))
        {
            for row in 0..rows {
                let from = &channel[(from_y + row) * w + from_x..][..columns];
                to[(to_y + row) * width + to_x..][..columns].copy_from_slice(from);
            }
        }
        Ok(())
    }

    /// Hands every image to `see`, in order.
    fn each(&self, mut see: impl FnMut(&[u8])) -> Result<()> {
        let (c, h, w) = self.shape();
        let mut image = vec![0; c * h * w];
        for index in 0..self.len() {
            image.fill(0);
            self.read(index, &mut image)?;
            see(&image);
        }
        Ok(())
    }
}

/// The part of a data set's digest that comes before the pixels. Files of early versions hold
/// digests of labels of one byte.
pub(crate) fn digest_of_labels(
    (c, h, w): (usize, usize, usize),
    labels: impl ExactSizeIterator<Item = u32> + Clone,
) -> Sha256 {
    let mut hash = Sha256::new();
    for size in [c, h, w, labels.len()] {
        hash.update((size as u64).to_le_bytes());
    }
    let is_wide = labels.clone().any(|label| label > u32::from(u8::MAX));
    for label in labels {
        if is_wide {
            hash.update(label.to_le_bytes());
        } else {
            hash.update([label as u8]);
        }
    }
    hash
}

/// An error if a label is not a class.
pub(crate) fn check_labels(path: &Path, labels: &[u8]) -> Result<()> {
    match labels
        .iter()
        .position(|&label| usize::from(label) >= CLASSES)
    {
        None => Ok(()),
        Some(i) => {
            let reason = format!(
                "labels image {i} as {}, not 0 to {}",
                labels[i],
                CLASSES - 1
            );
            Err(Error::Format {
                path: path.to_owned(),
                reason,
            })
        }
    }
}

fn read_idx(
    name: DatasetName,
    (images_path, images): (&Path, impl Read),
    (labels_path, labels): (&Path, impl Read),
    most: usize,
) -> Result<Dataset> {
    let pixels = idx::read_images(images_path, images, most)?;
    let labels = idx::read_labels(labels_path, labels, most)?;
    let images = pixels.len() / (idx::SIDE * idx::SIDE);
    if labels.len() != images {
        let reason = format!(
            "does not go with its images: {} against {images}",
            labels.len()
        );
        return Err(Error::Format {
            path: labels_path.to_owned(),
            reason,
        });
    }
    published(name, (1, idx::SIDE, idx::SIDE), pixels, &labels)
}

fn read_cifar10(name: DatasetName, files: &[PathBuf], most: usize) -> Result<Dataset> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for path in files {
        let (batch_pixels, batch_labels) = cifar10::read(path, open(path)?, most / files.len())?;
        pixels.extend(batch_pixels);
        labels.extend(batch_labels);
    }
    let shape = (cifar10::CHANNELS, cifar10::SIDE, cifar10::SIDE);
    published(name, shape, pixels, &labels)
}

fn published(
    name: DatasetName,
    shape: (usize, usize, usize),
    pixels: Vec<u8>,
    labels: &[u8],
) -> Result<Dataset> {
    let classes = name.classes().map(str::to_owned).to_vec();
    let labels = labels.iter().copied().map(u32::from).collect();
    Dataset::new(name.as_str(), classes, shape, pixels, labels)
}
