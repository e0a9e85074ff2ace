//! Data sets of a few random images.

use flow_testing::parquet_file::{self, Images, Pages};

use crate::{
    DatasetName, cifar10, idx,
    source::{File, Files, Part, Source, sha256},
};

pub(super) const TRAIN: &str = "tiny/train.parquet";
pub(super) const TEST: &str = "tiny/test.parquet";

/// Reproducible images without a pattern.
pub(super) fn images(count: usize, image: usize, seed: u32) -> Images {
    let mut state = seed;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let pixels = (0..count * image).map(|_| random()).collect();
    Images {
        pixels,
        labels: (0..count).map(|_| random() % 10).collect(),
    }
}

pub(super) fn mnist(train: &Images, test: &Images) -> Source {
    let part = |parquet, images: &Images, [pixels, labels]: [&'static str; 2]| Part {
        parquet,
        images: images.labels.len(),
        files: Files::Idx {
            images: file(pixels, &idx::encode_images(&images.pixels)),
            labels: file(labels, &idx::encode_labels(&images.labels)),
        },
    };
    Source {
        dataset: DatasetName::Mnist,
        repository: ("owner", "digits"),
        folders: &["digits", "DIGITS/raw", ""],
        image_column: "image",
        train: part(TRAIN, train, ["train-images", "train-labels"]),
        test: part(TEST, test, ["t10k-images", "t10k-labels"]),
    }
}

/// Both splits are `images`, in two batches.
pub(super) fn cifar10(images: &Images) -> Source {
    let halves = images.pixels.chunks(images.pixels.len() / 2);
    let halves = halves.zip(images.labels.chunks(images.labels.len() / 2));
    let contents: Vec<_> = halves
        .map(|(pixels, labels)| cifar10::encode(pixels, labels))
        .collect();
    let part = |parquet, names: [&'static str; 2]| Part {
        parquet,
        images: images.labels.len(),
        files: Files::Cifar10(Vec::leak(
            names
                .into_iter()
                .zip(&contents)
                .map(|(name, content)| file(name, content))
                .collect(),
        )),
    };
    Source {
        dataset: DatasetName::Cifar10,
        repository: ("owner", "photographs"),
        folders: &["photographs", ""],
        image_column: "img",
        train: part(TRAIN, ["train_1.bin", "train_2.bin"]),
        test: part(TEST, ["test_1.bin", "test_2.bin"]),
    }
}

/// A parquet file of these images, compressed as on the hub.
pub(super) fn parquet(images: &Images, column: &str, shape: (usize, usize, usize)) -> Vec<u8> {
    parquet_file::encode(images, column, shape, Pages::Compressed)
}

fn file(name: &'static str, content: &[u8]) -> File {
    File {
        name,
        sha256: sha256(content).leak(),
    }
}
