//! A picture of any format, as an image.

#![no_main]

use std::io::Cursor;

use flow_data::picture::{self, Color, Fit, Fitting};
use flow_testing::damage::{picture_limit, within};
use libfuzzer_sys::fuzz_target;

/// Larger ones take too long.
const MAX_PIXELS: usize = 1 << 18;

fuzz_target!(|data: &[u8]| {
    let header = || picture::facts(Cursor::new(data));
    let Ok(facts) = within(picture_limit(data, 0), header) else {
        return;
    };
    let pixels = facts.width as usize * facts.height as usize;
    if pixels > MAX_PIXELS {
        return;
    }
    within(picture_limit(data, pixels), || {
        let Ok(picture) = picture::decode(data) else {
            return;
        };
        assert_eq!((facts.width, facts.height), (picture.width(), picture.height()));
        for (fit, color) in [(Fit::Crop, Color::Rgb), (Fit::Pad, Color::Grey)] {
            let fitting = Fitting {
                height: 8,
                width: 12,
                fit,
                color,
                background: Some([255; 3]),
            };
            let image = fitting.apply(picture.clone()).unwrap();
            assert_eq!(image.len(), 8 * 12 * color.channels());
        }
    });
});
