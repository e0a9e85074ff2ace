//! One split of a data set, in memory.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use candle_core::{Device, Tensor};
use sha2::{Digest, Sha256};

use crate::{
    DatasetName, Error, Result, Split, cifar10,
    content::Gzip,
    idx,
    source::{Files, Part, open, owner_of_labels, sha256},
};

/// Number of classes of every data set here.
const CLASSES: usize = 10;

const BUNDLED: [&[u8]; 4] = [
    include_bytes!("../../../assets/mnist/train-images-idx3-ubyte.gz"),
    include_bytes!("../../../assets/mnist/train-labels-idx1-ubyte.gz"),
    include_bytes!("../../../assets/mnist/t10k-images-idx3-ubyte.gz"),
    include_bytes!("../../../assets/mnist/t10k-labels-idx1-ubyte.gz"),
];

/// The images of one split and their labels. Images stay u8, 0–255, on the host.
#[derive(Clone, Debug)]
pub struct Dataset {
    name: DatasetName,
    folder: Option<PathBuf>,
    shape: (usize, usize, usize),
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

/// Some images of a data set and their labels, both on the CPU.
#[derive(Clone, Debug)]
pub struct Batch {
    /// u8, 0–255, `[B, C, H, W]`.
    pub images: Tensor,
    /// u32, 0–9, `[B]`.
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

    /// The data set.
    pub fn name(&self) -> DatasetName {
        self.name
    }

    /// The folder that was read; nothing for the bundled subset.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// True if it holds no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Channels, height and width of an image.
    pub fn shape(&self) -> (usize, usize, usize) {
        self.shape
    }

    /// Number of classes: labels are below this.
    pub fn classes(&self) -> usize {
        CLASSES
    }

    /// Counts of each of the 256 values among all pixels of all channels.
    pub fn histogram(&self) -> [u64; 256] {
        let mut counts = [0; 256];
        for &pixel in &self.pixels {
            counts[usize::from(pixel)] += 1;
        }
        counts
    }

    /// SHA-256 of the size of an image, all labels and all pixels, in their order.
    pub fn digest(&self) -> [u8; 32] {
        let (c, h, w) = self.shape;
        let mut hash = Sha256::new();
        for size in [c, h, w, self.len()] {
            hash.update((size as u64).to_le_bytes());
        }
        hash.update(&self.labels);
        hash.update(&self.pixels);
        hash.finalize().into()
    }

    /// The images and labels at `indices`, in that order.
    ///
    /// # Errors
    ///
    /// [`Error::Index`] if an index is not below [`len`](Self::len).
    pub fn batch(&self, indices: &[usize]) -> Result<Batch> {
        self.batch_mirrored(indices, &[])
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
        let (c, h, w) = self.shape;
        let image = c * h * w;
        let kept: Vec<_> = (0..limit).map(|i| i * len / limit).collect();
        for (to, &from) in kept.iter().enumerate() {
            self.labels[to] = self.labels[from];
            self.pixels
                .copy_within(from * image..(from + 1) * image, to * image);
        }
        self.labels.truncate(limit);
        self.pixels.truncate(limit * image);
        kept
    }

    /// An error if the labels, from the file at `path`, belong to another data set: files of MNIST
    /// and Fashion-MNIST have the same names.
    fn ensure_own_labels(&self, split: Split, path: &Path) -> Result<()> {
        let digest = sha256(&idx::encode_labels(&self.labels));
        match owner_of_labels(split, &digest) {
            Some(other) if other != self.name => Err(Error::Format {
                path: path.to_owned(),
                reason: format!("belongs to {other}, not to {}", self.name),
            }),
            _ => Ok(()),
        }
    }

    /// As [`batch`](Self::batch), with left and right swapped in image `i` of the batch where
    /// `mirrored[i]`; an empty `mirrored` swaps none.
    pub(crate) fn batch_mirrored(&self, indices: &[usize], mirrored: &[bool]) -> Result<Batch> {
        let (c, h, w) = self.shape;
        let image = c * h * w;
        let mut pixels = Vec::with_capacity(indices.len() * image);
        let mut labels = Vec::with_capacity(indices.len());
        for (i, &index) in indices.iter().enumerate() {
            let label = self.labels.get(index).ok_or(Error::Index {
                index,
                len: self.len(),
            })?;
            labels.push(u32::from(*label));
            pixels.extend_from_slice(&self.pixels[index * image..][..image]);
            if mirrored.get(i) == Some(&true) {
                pixels[i * image..]
                    .chunks_exact_mut(w)
                    .for_each(<[u8]>::reverse);
            }
        }
        let b = indices.len();
        Ok(Batch {
            images: Tensor::from_vec(pixels, (b, c, h, w), &Device::Cpu)?,
            labels: Tensor::from_vec(labels, b, &Device::Cpu)?,
            indices: indices.to_vec(),
        })
    }
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
    let shape = (1, idx::SIDE, idx::SIDE);
    Ok(Dataset {
        name,
        folder: None,
        shape,
        pixels,
        labels,
    })
}

fn read_cifar10(name: DatasetName, files: &[PathBuf], most: usize) -> Result<Dataset> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for path in files {
        let (batch_pixels, batch_labels) = cifar10::read(path, open(path)?, most / files.len())?;
        pixels.extend(batch_pixels);
        labels.extend(batch_labels);
    }
    let shape = (cifar10::CHANNELS, cifar10::SIDE, cifar10::SIDE);
    Ok(Dataset {
        name,
        folder: None,
        shape,
        pixels,
        labels,
    })
}
