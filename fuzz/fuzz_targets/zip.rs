//! Zip archives of folders.

#![no_main]

mod collection;

use libfuzzer_sys::fuzz_target;

/// Bytes that a byte of a packed picture unpacks to at most, in a vector that doubles.
const UNPACKED: usize = 2 * 1032;

/// Buffers of readers.
const BUFFERS: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    collection::read("file.zip", data, UNPACKED * data.len() + BUFFERS);
});
