//! An image of known shape from PNG.

use std::io::Cursor;

use image::{ColorType, ImageDecoder, Limits, codecs::png::PngDecoder};

use super::{Malformed, ensure};

/// Memory limit of the decoder in bytes: that of an image and of the chunks before it.
const MEMORY: u64 = 1 << 18;

/// The bytes of an image of exactly this shape, row by row, the channels of a pixel side by side.
///
/// # Errors
///
/// `png` is damaged, of another shape, or takes more memory than such an image needs.
pub fn decode(png: &[u8], (c, h, w): (usize, usize, usize)) -> Result<Vec<u8>, Malformed> {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MEMORY);
    let decoder = PngDecoder::with_limits(Cursor::new(png), limits).map_err(Malformed::new)?;
    let color = if c == 1 {
        ColorType::L8
    } else {
        ColorType::Rgb8
    };
    let (width, height) = decoder.dimensions();
    ensure!(
        (height as usize, width as usize, decoder.color_type()) == (h, w, color),
        "{height}×{width} {:?} instead of {h}×{w} {color:?}",
        decoder.color_type()
    );
    let mut bytes = vec![0; c * h * w];
    decoder.read_image(&mut bytes).map_err(Malformed::new)?;
    Ok(bytes)
}
