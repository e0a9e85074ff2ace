//! Containers damaged at random: an error of one line, or as many pictures as are listed, and
//! memory within what the file can hold. `cargo xtask fuzz tar zip arrays` does the same at length.

use std::{fs, sync::LazyLock};

use flow_data::collection::{Part, Sources};
use flow_testing::damage::{self, damage, damaged};
use proptest::prelude::*;
use tempfile::{TempDir, tempdir};
use zip::CompressionMethod;

use super::{
    images,
    writers::{Order, folder_of, idx, labels, npy, tar_of, values, zip_of},
};

/// Buffers of readers.
const BUFFERS: usize = 1 << 20;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempdir().unwrap());

/// Small files of many pictures, by name.
static FILES: LazyLock<Vec<(&str, Vec<u8>)>> = LazyLock::new(|| {
    let images = images(6, 5);
    let mut samples = folder_of(&images);
    let tar = tar_of(&samples);
    let zip = zip_of(&samples, CompressionMethod::Deflated);
    samples.truncate(2);
    samples.push(("test/cat/00 ü.cls".into(), b"1".to_vec()));
    samples.push(("test/dog/01 ü.json".into(), br#"{"label": 2}"#.to_vec()));
    let pixels = values(&images, Part::Train, Order::Planes);
    let pixels = npy("|u1", &[7, 3, 5, 6], &pixels);
    let labels = npy(
        "<i2",
        &[7],
        &[labels(&images, Part::Train), vec![0; 7]].concat(),
    );
    let arrays = [
        ("x.npy".to_owned(), pixels.clone()),
        ("y.npy".to_owned(), labels),
    ];
    vec![
        ("folder.tar", tar),
        ("samples.tar", tar_of(&samples)),
        ("folder.zip", zip),
        ("deflated.npz", zip_of(&arrays, CompressionMethod::Deflated)),
        ("stored.npz", zip_of(&arrays, CompressionMethod::Stored)),
        ("array.npy", pixels),
        ("images-idx3-ubyte", idx(&[7, 5, 6], &[7; 210])),
        ("data_batch_1.bin", vec![7; 2 * 3073]),
    ]
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn files(which in 0..8_usize, damage in damage()) {
        let (name, content) = &FILES[which];
        let path = FOLDER.path().join(name);
        let content = damaged(content, &damage);
        fs::write(&path, &content).unwrap();
        // No method of compression makes more than 1032 bytes of one; a vector doubles.
        let limit = 2 * 1032 * content.len() + BUFFERS;
        damage::within(limit, || {
            let opened = Sources::find(&path).and_then(|sources| sources.open());
            match opened {
                Ok(found) => {
                    assert_eq!(found.pictures().unwrap().count(), found.entries.len());
                }
                Err(error) => damage::check_text(&error, name),
            }
        });
    }
}
