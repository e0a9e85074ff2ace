//! Sources of data sets, and the files that they are made of.
//!
//! Files keep their authors' names. Digests are those of the uncompressed content, so they hold for
//! a file with and without gzip.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::{DatasetName, Split, cifar10, idx};

pub use crate::content::{open, uncompressed};

/// A data set as its authors and the hub publish it.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// The data set.
    pub dataset: DatasetName,
    /// Owner and name of its repository on the hub.
    pub repository: (&'static str, &'static str),
    /// Folders below a data folder that may contain the files, best first. The first is that of
    /// `fetch`; the others are torchvision's and those of the authors' archives.
    pub folders: &'static [&'static str],
    /// The column of the hub's parquet files that holds the images; labels are in `label`.
    pub image_column: &'static str,
    /// The training images.
    pub train: Part,
    /// The test images.
    pub test: Part,
}

/// One split of a [`Source`].
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Path of the parquet file in the hub's repository; its rows are in the order of `files`.
    pub parquet: &'static str,
    /// Number of images.
    pub images: usize,
    /// The data set's own files.
    pub files: Files,
}

/// The files of one split, by their format.
#[derive(Clone, Copy, Debug)]
pub enum Files {
    /// A file of images and a file of labels, see [`idx`].
    Idx {
        /// The images.
        images: File,
        /// The labels.
        labels: File,
    },
    /// Batches with an equal number of images each, in order, see [`cifar10`].
    Cifar10(&'static [File]),
}

/// One of a data set's own files.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// Its name, without `.gz`.
    pub name: &'static str,
    /// SHA-256 of its uncompressed content, in lower-case hexadecimal digits.
    pub sha256: &'static str,
}

/// SHA-256 of `content`, in lower-case hexadecimal digits.
pub fn sha256(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

/// Lower-case hexadecimal digits of bytes.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

/// The data set whose published labels of `split` have this digest.
pub(crate) fn owner_of_labels(split: Split, digest: &str) -> Option<DatasetName> {
    let is_owner = |name: &DatasetName| match name.source().part(split).files {
        Files::Idx { labels, .. } => labels.sha256 == digest,
        Files::Cifar10(_) => false,
    };
    DatasetName::ALL.into_iter().find(is_owner)
}

impl Source {
    /// One split.
    pub fn part(&self, split: Split) -> &Part {
        match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
        }
    }
}

impl Files {
    /// Every file, in order.
    pub fn all(&self) -> Vec<File> {
        match self {
            Self::Idx { images, labels } => vec![*images, *labels],
            Self::Cifar10(batches) => batches.to_vec(),
        }
    }

    /// Channels, height and width of an image.
    pub fn shape(&self) -> (usize, usize, usize) {
        match self {
            Self::Idx { .. } => (1, idx::SIDE, idx::SIDE),
            Self::Cifar10(_) => (cifar10::CHANNELS, cifar10::SIDE, cifar10::SIDE),
        }
    }
}

pub(crate) const MNIST: Source = Source {
    dataset: DatasetName::Mnist,
    repository: ("ylecun", "mnist"),
    folders: &["mnist", "MNIST/raw", "MNIST", "raw", ""],
    image_column: "image",
    train: Part {
        parquet: "mnist/train-00000-of-00001.parquet",
        images: 60_000,
        files: Files::Idx {
            images: File {
                name: "train-images-idx3-ubyte",
                sha256: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            },
            labels: File {
                name: "train-labels-idx1-ubyte",
                sha256: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            },
        },
    },
    test: Part {
        parquet: "mnist/test-00000-of-00001.parquet",
        images: 10_000,
        files: Files::Idx {
            images: File {
                name: "t10k-images-idx3-ubyte",
                sha256: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            },
            labels: File {
                name: "t10k-labels-idx1-ubyte",
                sha256: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            },
        },
    },
};

pub(crate) const FASHION_MNIST: Source = Source {
    dataset: DatasetName::FashionMnist,
    repository: ("zalando-datasets", "fashion_mnist"),
    folders: &[
        "fashion-mnist",
        "FashionMNIST/raw",
        "FashionMNIST",
        "raw",
        "",
    ],
    image_column: "image",
    train: Part {
        parquet: "fashion_mnist/train-00000-of-00001.parquet",
        images: 60_000,
        files: Files::Idx {
            images: File {
                name: "train-images-idx3-ubyte",
                sha256: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            },
            labels: File {
                name: "train-labels-idx1-ubyte",
                sha256: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            },
        },
    },
    test: Part {
        parquet: "fashion_mnist/test-00000-of-00001.parquet",
        images: 10_000,
        files: Files::Idx {
            images: File {
                name: "t10k-images-idx3-ubyte",
                sha256: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            },
            labels: File {
                name: "t10k-labels-idx1-ubyte",
                sha256: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            },
        },
    },
};

pub(crate) const CIFAR10: Source = Source {
    dataset: DatasetName::Cifar10,
    repository: ("uoft-cs", "cifar10"),
    folders: &["cifar10", "cifar-10-batches-bin", ""],
    image_column: "img",
    train: Part {
        parquet: "plain_text/train-00000-of-00001.parquet",
        images: 50_000,
        files: Files::Cifar10(&[
            File {
                name: "data_batch_1.bin",
                sha256: "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
            },
            File {
                name: "data_batch_2.bin",
                sha256: "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
            },
            File {
                name: "data_batch_3.bin",
                sha256: "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
            },
            File {
                name: "data_batch_4.bin",
                sha256: "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
            },
            File {
                name: "data_batch_5.bin",
                sha256: "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
            },
        ]),
    },
    test: Part {
        parquet: "plain_text/test-00000-of-00001.parquet",
        images: 10_000,
        files: Files::Cifar10(&[File {
            name: "test_batch.bin",
            sha256: "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
        }]),
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_tell_whose_they_are() {
        for (source, other) in [(MNIST, FASHION_MNIST), (FASHION_MNIST, MNIST)] {
            for split in [Split::Train, Split::Test] {
                let labels = source.part(split).files.all()[1];
                let owner = owner_of_labels(split, labels.sha256);
                assert_eq!(owner, Some(source.dataset));
                let labels = other.part(split).files.all()[1];
                assert_ne!(owner_of_labels(split, labels.sha256), owner);
            }
        }
        assert_eq!(owner_of_labels(Split::Test, &sha256(b"others")), None);
    }
}
