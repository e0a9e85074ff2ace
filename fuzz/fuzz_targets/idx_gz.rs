//! IDX files under gzip, which may unfold to a thousand times their size: the limit is what the
//! data set holds when it is unfolded.

#![no_main]

use std::path::Path;

use flow_data::{idx, source};
use libfuzzer_sys::fuzz_target;

/// Images of the data set.
const MOST: usize = 1000;

/// What unpacking takes by itself.
const UNPACKING: usize = 1 << 17;

fuzz_target!(|data: &[u8]| {
    let path = Path::new("file");
    let unfolded = 16 + MOST * idx::SIDE * idx::SIDE;
    flow_testing::damage::within(4 * unfolded + UNPACKING, || {
        for read in [idx::read_images, idx::read_labels] {
            let Ok(content) = source::uncompressed(data) else {
                return;
            };
            let _ = read(path, content, MOST);
        }
    });
});
