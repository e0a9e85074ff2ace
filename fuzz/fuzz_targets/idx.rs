//! IDX files of images and of labels.

#![no_main]

use std::path::Path;

use flow_data::idx;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let path = Path::new("file");
    flow_testing::damage::within(4 * data.len() + 4096, || {
        let _ = idx::read_images(path, data, 60_000);
        let _ = idx::read_labels(path, data, 60_000);
    });
});
