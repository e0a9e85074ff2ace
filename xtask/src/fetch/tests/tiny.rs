//! Data sets of a few random images, and their parquet files as the hub keeps them.

use std::sync::Arc;

use flow_data::{
    DatasetName, cifar10, idx,
    source::{File, Files, Part, Source},
};
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use parquet::{
    data_type::{ByteArray, ByteArrayType, Int64Type},
    file::writer::SerializedFileWriter,
    schema::parser::parse_message_type,
};

use crate::folder::sha256;

pub(super) const TRAIN: &str = "tiny/train.parquet";
pub(super) const TEST: &str = "tiny/test.parquet";

/// Pixels (channel, row, column) and labels.
#[derive(Clone)]
pub(super) struct Images {
    pub(super) pixels: Vec<u8>,
    pub(super) labels: Vec<u8>,
}

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
        image_column: "img",
        train: part(TRAIN, ["train_1.bin", "train_2.bin"]),
        test: part(TEST, ["test_1.bin", "test_2.bin"]),
    }
}

/// A parquet file of these images, as PNG of so many channels.
pub(super) fn parquet(
    images: &Images,
    image_column: &str,
    (c, h, w): (usize, usize, usize),
) -> Vec<u8> {
    let schema = format!(
        "message schema {{
            optional group {image_column} {{ optional binary bytes; optional binary path (utf8); }}
            optional int64 label;
        }}"
    );
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let pngs: Vec<ByteArray> = images
        .pixels
        .chunks(c * h * w)
        .map(|image| png(image, (c, h, w)).into())
        .collect();
    let labels: Vec<i64> = images.labels.iter().map(|&label| label.into()).collect();
    let rows = labels.len();

    let mut file = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut file, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut bytes = group.next_column().unwrap().unwrap();
    bytes
        .typed::<ByteArrayType>()
        .write_batch(&pngs, Some(&vec![2; rows]), None)
        .unwrap();
    bytes.close().unwrap();
    let mut path = group.next_column().unwrap().unwrap();
    path.typed::<ByteArrayType>()
        .write_batch(&[], Some(&vec![1; rows]), None)
        .unwrap();
    path.close().unwrap();
    let mut label = group.next_column().unwrap().unwrap();
    label
        .typed::<Int64Type>()
        .write_batch(&labels, Some(&vec![1; rows]), None)
        .unwrap();
    label.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    file
}

fn png(planes: &[u8], (c, h, w): (usize, usize, usize)) -> Vec<u8> {
    let interleaved: Vec<u8> = (0..h * w)
        .flat_map(|i| (0..c).map(move |channel| planes[channel * h * w + i]))
        .collect();
    let color = if c == 1 {
        ExtendedColorType::L8
    } else {
        ExtendedColorType::Rgb8
    };
    let mut png = Vec::new();
    let (width, height) = (u32::try_from(w).unwrap(), u32::try_from(h).unwrap());
    PngEncoder::new(&mut png)
        .write_image(&interleaved, width, height, color)
        .unwrap();
    png
}

fn file(name: &'static str, content: &[u8]) -> File {
    File {
        name,
        sha256: sha256(content).leak(),
    }
}
