//! Parquet files damaged at random, and one written as the hub's are.

use std::{io::Cursor, sync::LazyLock};

use flow_testing::{
    damage::{self, damage, damaged},
    parquet_file::{self, Pages},
};
use proptest::prelude::*;

use super::{CIFAR10, MNIST, tiny};
use crate::{Dataset, DatasetName, Malformed, Split, hub::published, source::Part};

/// Images of the files.
const IMAGES: usize = 6;

/// Memory of the decoder of an image itself.
const DECODER: usize = 1 << 19;

/// The first test images of MNIST, written with PyArrow 26 as the hub does: PNG and path in a
/// struct, pages compressed by Snappy.
const SIX_DIGITS: &[u8] = include_bytes!("six-digits.parquet");

/// Files of each kind: digits or photographs, compressed and with dictionaries or not.
static FILES: LazyLock<Vec<(DatasetName, Vec<u8>)>> = LazyLock::new(|| {
    let mut files = vec![(DatasetName::Mnist, SIX_DIGITS.to_vec())];
    for (name, column, shape @ (c, h, w)) in [
        (DatasetName::Mnist, "image", MNIST),
        (DatasetName::Cifar10, "img", CIFAR10),
    ] {
        let images = tiny::images(IMAGES, c * h * w, 5);
        for pages in [Pages::Compressed, Pages::Plain] {
            files.push((name, parquet_file::encode(&images, column, shape, pages)));
        }
    }
    files
});

fn part(name: DatasetName) -> Part {
    let source = name.source();
    Part {
        images: IMAGES,
        ..*source.part(Split::Test)
    }
}

fn read(file: &[u8], column: &str, part: &Part) -> Result<(Vec<u8>, Vec<u8>), Malformed> {
    published::read(Cursor::new(file), column, part, &mut |_| {})
}

#[test]
fn a_file_of_another_writer_is_read() {
    let (pixels, labels) = read(SIX_DIGITS, "image", &part(DatasetName::Mnist)).unwrap();
    assert_eq!(labels, [7, 2, 1, 0, 4, 1]);
    let bundled = Dataset::bundled(Split::Test).unwrap();
    let first = bundled.batch(&[0]).unwrap().images;
    assert_eq!(
        pixels[..784],
        first.flatten_all().unwrap().to_vec1::<u8>().unwrap()
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn damage_is_an_error_of_one_line(damage in damage(), file in 0..5_usize) {
        let (name, file) = &FILES[file];
        let file = damaged(file, &damage);
        let (source, part) = (name.source(), part(*name));
        let (c, h, w) = part.files.shape();
        let size = c * h * w;
        let limit = 4 * (file.len() + IMAGES * size) + DECODER;
        match damage::within(limit, || read(&file, source.image_column, &part)) {
            Ok((pixels, labels)) => {
                prop_assert_eq!((pixels.len(), labels.len()), (IMAGES * size, IMAGES));
            }
            Err(error) => damage::check_text(&error, ""),
        }
    }
}

/// Four thousand millions in place of every number there is.
#[test]
fn claims_take_no_memory() {
    let part = part(DatasetName::Mnist);
    for at in 0..SIX_DIGITS.len() - 5 {
        let mut file = SIX_DIGITS.to_vec();
        file[at..at + 5].copy_from_slice(&[255, 255, 255, 255, 15]);
        let limit = 4 * (file.len() + IMAGES * 784) + DECODER;
        let _ = damage::within(limit, || read(&file, "image", &part));
    }
}
