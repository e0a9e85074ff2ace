//! Arrays of NumPy, safetensors, IDX and CIFAR; the first byte says of which.

#![no_main]

mod collection;

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

/// Buffers of readers.
const BUFFERS: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    if let [kind, content @ ..] = data {
        let name = NAMES[usize::from(*kind) % NAMES.len()];
        collection::read(name, content, UNPACKED * content.len() + BUFFERS);
    }
});
