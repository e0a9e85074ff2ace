//! Diagrams, with smooth lines and a font of our own.

use anyhow::{Result, anyhow};
use image::{ExtendedColorType, ImageEncoder, RgbImage, codecs::png::PngEncoder, imageops};
use plotters::{
    coord::Shift,
    prelude::*,
    style::{FontStyle, register_font},
};

const FONT_NAME: &str = "sans";
const FONT: &[u8] = include_bytes!("../../../assets/fonts/DejaVuSans.ttf");

/// A diagram is drawn this many times larger and shrunk, which smooths its lines.
pub(crate) const OVERSAMPLING: u32 = 2;

pub(crate) const INK: RGBColor = RGBColor(50, 50, 50);
pub(crate) const RULE: RGBColor = RGBColor(228, 228, 228);

/// What is drawn on.
pub(crate) type Canvas<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// Text of so many pixels, once the diagram is shrunk.
pub(crate) fn text(size: i32, color: RGBColor) -> TextStyle<'static> {
    (FONT_NAME, size * OVERSAMPLING as i32)
        .into_font()
        .color(&color)
}

/// As [`picture`], encoded as a PNG.
pub(crate) fn png(
    (width, height): (u32, u32),
    draw: impl FnOnce(&Canvas) -> Result<(), Box<dyn std::error::Error>>,
) -> Result<Vec<u8>> {
    let picture = picture((width, height), draw)?;
    let mut encoded = Vec::new();
    PngEncoder::new(&mut encoded).write_image(&picture, width, height, ExtendedColorType::Rgb8)?;
    Ok(encoded)
}

/// A diagram of `width` × `height` pixels that `draw` draws on white, [`OVERSAMPLING`] times as large.
pub(crate) fn picture(
    (width, height): (u32, u32),
    draw: impl FnOnce(&Canvas) -> Result<(), Box<dyn std::error::Error>>,
) -> Result<RgbImage> {
    let size = (width * OVERSAMPLING, height * OVERSAMPLING);
    let mut pixels = vec![0; size.0 as usize * size.1 as usize * 3];
    let paint = |pixels: &mut [u8]| {
        register_font(FONT_NAME, FontStyle::Normal, FONT).map_err(|_| "the font is damaged")?;
        let canvas = BitMapBackend::with_buffer(pixels, size).into_drawing_area();
        canvas.fill(&WHITE)?;
        draw(&canvas)?;
        canvas.present()?;
        Ok::<_, Box<dyn std::error::Error>>(())
    };
    paint(&mut pixels).map_err(|error| anyhow!("cannot draw the diagram: {error}"))?;
    let large = RgbImage::from_raw(size.0, size.1, pixels).expect("the size was computed above");
    Ok(imageops::thumbnail(&large, width, height))
}
