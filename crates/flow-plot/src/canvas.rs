//! Pictures, and what is drawn on them directly.

use image::{ExtendedColorType, ImageEncoder, RgbImage, codecs::png::PngEncoder, imageops};
use plotters::{
    coord::Shift,
    element::BitMapElement,
    prelude::*,
    style::{Color as _, FontStyle, register_font},
};

use crate::{Chart, Error, Plot, Result};

const FONT_NAME: &str = "sans";
const FONT: &[u8] = include_bytes!("../../../assets/fonts/DejaVuSans.ttf");

/// A picture is drawn this many times larger and shrunk, which smooths its lines.
pub(crate) const OVERSAMPLING: u32 = 2;

/// Red, green and blue.
pub type Color = [u8; 3];

/// The color of text and axes.
pub const INK: Color = [50, 50, 50];

/// An area of a picture.
pub struct Canvas<'a>(DrawingArea<BitMapBackend<'a>, Shift>);

impl<'a> Canvas<'a> {
    /// The upper part of this height, and the rest.
    pub fn split_vertically(&self, height: u32) -> (Self, Self) {
        let (upper, lower) = self.0.split_vertically(scaled(height));
        (Self(upper), Self(lower))
    }

    /// Parts of equal size, row by row.
    pub fn split_evenly(&self, rows: usize, columns: usize) -> Vec<Self> {
        let parts = self.0.split_evenly((rows, columns));
        parts.into_iter().map(Self).collect()
    }

    /// Writes one line below and to the right of a corner.
    ///
    /// # Errors
    ///
    /// Drawing fails.
    pub fn text(&self, (x, y): (u32, u32), text: &str, size: u32, color: Color) -> Result<()> {
        let corner = (scaled(x) as i32, scaled(y) as i32);
        Ok(self.0.draw(&Text::new(text, corner, font(size, color)))?)
    }

    /// Fills a rectangle of so many pixels across and down.
    ///
    /// # Errors
    ///
    /// Drawing fails.
    pub fn rectangle(
        &self,
        (x, y): (u32, u32),
        (width, height): (u32, u32),
        color: Color,
    ) -> Result<()> {
        let corner = |x, y| (scaled(x) as i32, scaled(y) as i32);
        let corners = [corner(x, y), corner(x + width, y + height)];
        Ok(self.0.draw(&Rectangle::new(corners, rgb(color).filled()))?)
    }

    /// Shows an image as it is.
    ///
    /// # Errors
    ///
    /// Drawing fails.
    pub fn image(&self, (x, y): (u32, u32), image: &RgbImage) -> Result<()> {
        let size = (scaled(image.width()), scaled(image.height()));
        let large = imageops::resize(image, size.0, size.1, imageops::FilterType::Nearest);
        let corner = (scaled(x) as i32, scaled(y) as i32);
        let element = BitMapElement::with_owned_buffer(corner, size, large.into_raw())
            .ok_or_else(|| Error::new("an image has not the size it should have"))?;
        Ok(self.0.draw(&element)?)
    }

    /// Sets up a chart that fills this area: title, axes and rules.
    ///
    /// # Errors
    ///
    /// Drawing fails.
    pub fn chart(&self, chart: &Chart) -> Result<Plot<'a>> {
        chart.draw(&self.0)
    }
}

/// As [`picture`], encoded as a PNG.
///
/// # Errors
///
/// Drawing fails.
pub fn png(size: (u32, u32), draw: impl FnOnce(&Canvas) -> Result<()>) -> Result<Vec<u8>> {
    let picture = picture(size, draw)?;
    let mut encoded = Vec::new();
    PngEncoder::new(&mut encoded)
        .write_image(&picture, size.0, size.1, ExtendedColorType::Rgb8)
        .map_err(Error::new)?;
    Ok(encoded)
}

/// A picture of `width` × `height` pixels, whose `draw` draws on white.
///
/// # Errors
///
/// Drawing fails.
pub fn picture(
    (width, height): (u32, u32),
    draw: impl FnOnce(&Canvas) -> Result<()>,
) -> Result<RgbImage> {
    let size = (scaled(width), scaled(height));
    register_font(FONT_NAME, FontStyle::Normal, FONT)
        .map_err(|_| Error::new("the font is damaged"))?;
    let mut pixels = vec![0; size.0 as usize * size.1 as usize * 3];
    let canvas = Canvas(BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area());
    canvas.0.fill(&WHITE)?;
    draw(&canvas)?;
    canvas.0.present()?;
    drop(canvas);
    let large = RgbImage::from_raw(size.0, size.1, pixels)
        .ok_or_else(|| Error::new("the picture has not the size it should have"))?;
    Ok(imageops::thumbnail(&large, width, height))
}

/// A length as it is drawn, before the picture is shrunk.
pub(crate) fn scaled(length: u32) -> u32 {
    length * OVERSAMPLING
}

pub(crate) fn rgb([red, green, blue]: Color) -> RGBColor {
    RGBColor(red, green, blue)
}

/// Text of so many pixels.
pub(crate) fn font(size: u32, color: Color) -> TextStyle<'static> {
    (FONT_NAME, scaled(size)).into_font().color(&rgb(color))
}
