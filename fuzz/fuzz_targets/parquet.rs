//! Parquet files of a few digits or photographs, as a download is read.

#![no_main]

use flow_data::{DatasetName, Split, hub::parquet, source::Part};
use libfuzzer_sys::fuzz_target;

/// As many as the seeds hold.
const IMAGES: usize = 6;

/// What the decoder of an image takes by itself.
const DECODER: usize = 1 << 19;

fuzz_target!(|data: &[u8]| {
    for name in [DatasetName::Mnist, DatasetName::Cifar10] {
        let source = name.source();
        let part = Part {
            images: IMAGES,
            ..*source.part(Split::Test)
        };
        let (c, h, w) = part.files.shape();
        flow_testing::damage::within(4 * (data.len() + IMAGES * c * h * w) + DECODER, || {
            let _ = parquet::read(data, source.image_column, &part, &mut |_| {});
        });
    }
});
