//! Tar archives, also under gzip: WebDataset's shards and folders.

#![no_main]

mod collection;

use std::io;

use flow_data::source;
use libfuzzer_sys::fuzz_target;

/// Buffers of readers.
const BUFFERS: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let unpacked = source::uncompressed(data).map(|mut content| {
        let mut length = Length(0);
        let _ = io::copy(&mut content, &mut length);
        length.0
    });
    let size = data.len() + unpacked.unwrap_or(0);
    collection::read("file.tar", data, 8 * size + BUFFERS);
});

/// A number of bytes, also if reading ends in an error.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
