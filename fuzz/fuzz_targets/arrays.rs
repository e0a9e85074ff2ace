//! Arrays of NumPy, safetensors, IDX and CIFAR; the first byte says of which.

#![no_main]

mod collection;

use flow_data::numpy;
use flow_testing::damage::{check_text, within};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 5] = [
    "file.npz",
    "file.npy",
    "file.safetensors",
    "file-ubyte",
    "file.bin",
];

/// Bytes of a listed image of one pixel, and those that a byte of a packed one unpacks to at most.
const UNPACKED: usize = 2 * 1032;

/// Bytes that a byte of a packed array takes at most as a tensor: small integers become u32.
const TENSOR: usize = 8 * 1032;

/// Buffers of readers.
const BUFFERS: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    if let [kind, content @ ..] = data {
        let name = NAMES[usize::from(*kind) % NAMES.len()];
        let path = collection::read(name, content, UNPACKED * content.len() + BUFFERS);
        if name.starts_with("file.np") {
            within(TENSOR * content.len() + BUFFERS, || {
                if let Err(error) = numpy::read(&path) {
                    check_text(&error, name);
                }
            });
        }
    }
});
