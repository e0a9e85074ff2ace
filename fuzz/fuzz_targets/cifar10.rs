//! Batches of CIFAR-10.

#![no_main]

use std::path::Path;

use flow_data::cifar10;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    flow_testing::damage::within(4 * data.len() + 4096, || {
        let _ = cifar10::read(Path::new("file"), data, 10_000);
    });
});
