//! Where each data set comes from, and the files it is made of.
//!
//! Files keep the names their authors gave them. Digests are those of the uncompressed content, so
//! they hold for a file as it is and for the same file under gzip.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::bufread::MultiGzDecoder;

use crate::{DatasetName, Error, Result, Split, cifar10, idx};

/// A data set as its authors and the hub publish it.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// The data set.
    pub dataset: DatasetName,
    /// Owner and name of its repository on the hub.
    pub repository: (&'static str, &'static str),
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
    /// How many images there are.
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

/// The first bytes of every gzip stream.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The content of a file, uncompressed if it starts as gzip does.
///
/// # Errors
///
/// It is not a file, or cannot be read.
pub fn open(path: &Path) -> Result<Box<dyn Read>> {
    // A pipe may have no end, or nobody who writes to it.
    if path.exists() && !path.is_file() {
        return Err(Error::Format {
            path: path.to_owned(),
            reason: "is not a file".to_owned(),
        });
    }
    fs::File::open(path)
        .and_then(|file| uncompressed(BufReader::new(file)))
        .map_err(|source| Error::Io {
            path: path.to_owned(),
            source,
        })
}

/// `content`, uncompressed if it starts as gzip does. What comes out may be a thousand times as large:
/// whoever reads it sets the limit.
pub fn uncompressed<'a>(mut content: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let gzip = content.fill_buf()?.starts_with(&GZIP_MAGIC);
    Ok(if gzip {
        Box::new(MultiGzDecoder::new(content))
    } else {
        Box::new(content)
    })
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
    /// Channels, height and width of an image.
    pub fn shape(&self) -> (usize, usize, usize) {
        match self {
            Self::Idx { .. } => (1, idx::SIDE, idx::SIDE),
            Self::Cifar10(_) => (cifar10::CHANNELS, cifar10::SIDE, cifar10::SIDE),
        }
    }
}

impl File {
    /// Where it is in `folder`, compressed or not, if it is there.
    pub fn find(&self, folder: &Path) -> Option<PathBuf> {
        [format!("{}.gz", self.name), self.name.to_owned()]
            .into_iter()
            .map(|name| folder.join(name))
            .find(|path| path.exists())
    }
}

pub(crate) const MNIST: Source = Source {
    dataset: DatasetName::Mnist,
    repository: ("ylecun", "mnist"),
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
