//! What the drawn pictures have in common: size, font, inks.

use anyhow::{Result, anyhow};
use image::{ExtendedColorType, ImageEncoder, RgbImage, codecs::png::PngEncoder, imageops};
use plotters::{
    coord::Shift,
    prelude::*,
    style::{FontStyle, register_font},
};

/// What is drawn on, [`OVERSAMPLING`] times as large as the picture.
pub(crate) type Canvas<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// Whether drawing went well.
pub(crate) type Drawn = Result<(), Box<dyn std::error::Error>>;

/// Pictures are drawn this many times larger and shrunk, which smooths their lines.
pub(crate) const OVERSAMPLING: u32 = 2;

/// Of words and axes.
pub(crate) const INK: RGBColor = RGBColor(50, 50, 50);
/// Of lines that help the eye.
pub(crate) const RULE: RGBColor = RGBColor(228, 228, 228);

const FONT_NAME: &str = "sans";
const FONT: &[u8] = include_bytes!("../../../assets/fonts/DejaVuSans.ttf");

/// Draws a picture of `size`, in pixels, as a PNG.
pub(crate) fn png(size: (u32, u32), draw: impl FnOnce(&Canvas) -> Drawn) -> Result<Vec<u8>> {
    let (width, height) = (size.0 * OVERSAMPLING, size.1 * OVERSAMPLING);
    let mut pixels = vec![0; width as usize * height as usize * 3];
    paint(&mut pixels, (width, height), draw)
        .map_err(|error| anyhow!("cannot draw the picture: {error}"))?;
    let large = RgbImage::from_raw(width, height, pixels).expect("the size was computed above");
    let small = imageops::thumbnail(&large, size.0, size.1);
    let mut encoded = Vec::new();
    PngEncoder::new(&mut encoded).write_image(&small, size.0, size.1, ExtendedColorType::Rgb8)?;
    Ok(encoded)
}

/// Words of `size` pixels.
pub(crate) fn text(size: i32, color: RGBColor) -> TextStyle<'static> {
    (FONT_NAME, size * OVERSAMPLING as i32)
        .into_font()
        .color(&color)
}

fn paint(pixels: &mut [u8], size: (u32, u32), draw: impl FnOnce(&Canvas) -> Drawn) -> Drawn {
    register_font(FONT_NAME, FontStyle::Normal, FONT).map_err(|_| "the font is damaged")?;
    let canvas = BitMapBackend::with_buffer(pixels, size).into_drawing_area();
    canvas.fill(&WHITE)?;
    draw(&canvas)?;
    canvas.present()?;
    Ok(())
}
