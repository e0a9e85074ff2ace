//! Files of every format, damaged at random: an error of one line or a result that is whole, and
//! never more memory than the file can ask for. `cargo xtask fuzz` does the same at length.

use std::{
    fs,
    io::{Cursor, Write},
    path::Path,
    sync::LazyLock,
};

use flate2::{Compression, write::GzEncoder};
use flow_data::{
    Dataset, Result, Split, cifar10, idx,
    parquet::{Table, Values},
    source,
};
use flow_testing::damage::{self, damage, damaged};
use proptest::prelude::*;

/// Images of the damaged files.
const IMAGES: usize = 3;

/// Images that a file may hold.
const MOST: usize = 100;

/// Memory of an error.
const TEXT: usize = 4096;

/// Memory of unpacking itself.
const UNPACKING: usize = 1 << 17;

/// The first bundled digits: pixels and labels.
static DIGITS: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let dataset = Dataset::bundled(Split::Test).unwrap();
    let batch = dataset.batch(&(0..IMAGES).collect::<Vec<_>>()).unwrap();
    let labels = batch.labels.to_vec1::<u32>().unwrap();
    let pixels = batch.images.flatten_all().unwrap().to_vec1().unwrap();
    (
        pixels,
        labels.into_iter().map(|label| label as u8).collect(),
    )
});

/// Parquet files of another writer.
static TABLES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/parquet");
    let names = [
        "train-snappy",
        "test-zstd",
        "zstd-dictionary",
        "gzip",
        "delta",
    ];
    let read = |name: &str| fs::read(folder.join(name).with_extension("parquet"));
    names.into_iter().map(|name| read(name).unwrap()).collect()
});

/// Memory of reading a parquet file for each of its bytes: pages unfold up to 64 times, and a row
/// may take one byte.
const UNFOLDING: usize = 256;

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// The result of `read` within `limit` bytes of memory, unless it fails.
fn within<T>(limit: usize, read: impl FnOnce() -> Result<T>) -> Option<T> {
    damage::within(limit, read)
        .map_err(|error| damage::check_text(&error, "`file`"))
        .ok()
}

proptest! {
#![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

#[test]
fn idx_files(damage in damage()) {
    let (pixels, labels) = &*DIGITS;
    let path = Path::new("file");
    let file = damaged(&idx::encode_images(pixels), &damage);
    if let Some(pixels) = within(4 * file.len() + TEXT, || idx::read_images(path, &file[..], MOST)) {
        prop_assert_eq!(pixels.len() + 16, file.len());
    }
    let file = damaged(&idx::encode_labels(labels), &damage);
    if let Some(labels) = within(4 * file.len() + TEXT, || idx::read_labels(path, &file[..], MOST)) {
        prop_assert_eq!(labels.len() + 8, file.len());
        prop_assert!(labels.iter().all(|&label| label < 10));
    }
}

#[test]
fn idx_files_under_gzip(outside in damage(), inside in damage(), both: bool) {
    let (pixels, _) = &*DIGITS;
    let mut file = idx::encode_images(pixels);
    if both {
        file = damaged(&file, &inside);
    }
    let file = damaged(&gzip(&file), &outside);
    let limit = 4 * (16 + MOST * idx::SIDE * idx::SIDE) + UNPACKING;
    let read = || idx::read_images(Path::new("file"), source::uncompressed(&file[..]).unwrap(), MOST);
    if let Some(pixels) = within(limit, read) {
        prop_assert!(pixels.len() <= MOST * idx::SIDE * idx::SIDE);
    }
}

#[test]
fn cifar10_files(damage in damage()) {
    let (pixels, labels) = &*DIGITS;
    let pixels: Vec<u8> = pixels.iter().cycle().take(labels.len() * 3072).copied().collect();
    let file = damaged(&cifar10::encode(&pixels, labels), &damage);
    let read = || cifar10::read(Path::new("file"), &file[..], MOST);
    if let Some((pixels, labels)) = within(4 * file.len() + TEXT, read) {
        prop_assert_eq!((pixels.len(), labels.len() * 3073), (labels.len() * 3072, file.len()));
    }
}

/// A damaged column has as many values as there are rows, or errors in their place.
#[test]
fn parquet_files(damage in damage(), file in 0..5_usize) {
    let file = damaged(&TABLES[file], &damage);
    damage::within(UNFOLDING * file.len() + UNPACKING, || {
        let table = match Table::read(Cursor::new(&file)) {
            Ok(table) => table,
            Err(error) => return damage::check_text(&error, ""),
        };
        for column in table.columns() {
            match Values::new(&table, column, Cursor::new(&file)) {
                Ok(values) => {
                    let errors = values.map(Result::err);
                    let errors = errors.inspect(|error| {
                        if let Some(error) = error {
                            damage::check_text(error, "");
                        }
                    });
                    assert_eq!(errors.count(), table.rows());
                }
                Err(error) => damage::check_text(&error, ""),
            }
        }
    });
}}

/// Some kilobytes that unfold to 64 megabytes, behind a header that allows none of it.
#[test]
fn a_gzip_bomb_is_put_out() {
    let bomb = gzip(&[&idx::encode_images(&[0; 784])[..], &vec![0; 1 << 26]].concat());
    assert!(bomb.len() < 1 << 20);
    let read = || {
        let content = source::uncompressed(&bomb[..]).unwrap();
        idx::read_images(Path::new("file"), content, MOST)
    };
    let limit = 4 * (16 + MOST * idx::SIDE * idx::SIDE) + UNPACKING;
    assert!(within(limit, read).is_none());
}
