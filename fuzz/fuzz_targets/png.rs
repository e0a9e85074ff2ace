//! One image of a download.

#![no_main]

use flow_data::hub::parquet;
use libfuzzer_sys::fuzz_target;

/// What a decoder takes by itself.
const DECODER: usize = 1 << 19;

fuzz_target!(|data: &[u8]| {
    for shape @ (c, h, w) in [(1, 28, 28), (3, 32, 32)] {
        flow_testing::damage::within(4 * (data.len() + c * h * w) + DECODER, || {
            let _ = parquet::decode_png(data, shape);
        });
    }
});
