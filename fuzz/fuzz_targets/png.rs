//! One image of a download.

#![no_main]

use std::io::Cursor;

use flow_data::picture;
use libfuzzer_sys::fuzz_target;

/// Memory of a decoder itself.
const DECODER: usize = 1 << 19;

/// Images of the published data sets are far smaller.
const LARGEST: u32 = 64;

fuzz_target!(|data: &[u8]| {
    let Ok(facts) = picture::facts(Cursor::new(data)) else {
        return;
    };
    if facts.width.max(facts.height) <= LARGEST {
        let pixels = (facts.width * facts.height) as usize;
        flow_testing::damage::within(64 * (data.len() + pixels) + DECODER, || {
            let _ = picture::decode(data);
        });
    }
});
