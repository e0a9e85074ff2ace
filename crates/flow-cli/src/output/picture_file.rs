//! A file for a picture, in the format that its name asks for.

use std::path::Path;

use anyhow::Result;
use image::{
    DynamicImage, Frame, ImageEncoder,
    codecs::{gif::GifEncoder, jpeg::JpegEncoder, png::PngEncoder},
};

use crate::output::files::{self, Output};

/// Extensions of the formats that can be written.
pub(crate) const EXTENSIONS: [&str; 4] = ["png", "jpg", "jpeg", "gif"];

/// Little of a picture is lost at this quality, of 100.
const JPEG_QUALITY: u8 = 95;

/// A place for a picture.
pub(crate) struct PictureFile {
    output: Output,
    extension: &'static str,
}

impl PictureFile {
    /// Prepares to write a PNG, JPEG or GIF, as the extension says: a PNG where there is none, and
    /// to stdout if `path` is `-`.
    ///
    /// # Errors
    /// If the extension is another one, or the file cannot be written.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let extension = files::extension(path, &EXTENSIONS)?;
        Ok(Self {
            output: Output::create(path)?,
            extension: extension.unwrap_or("png"),
        })
    }

    /// Writes the picture.
    pub(crate) fn write(self, picture: &DynamicImage) -> Result<()> {
        let content = match self.extension {
            "png" => png(picture)?,
            "gif" => gif(picture)?,
            _ => jpeg(picture)?,
        };
        self.output.write(&content)
    }
}

/// The picture as a PNG.
pub(crate) fn png(picture: &DynamicImage) -> Result<Vec<u8>> {
    let mut encoded = Vec::new();
    encode(picture, PngEncoder::new(&mut encoded))?;
    Ok(encoded)
}

fn jpeg(picture: &DynamicImage) -> Result<Vec<u8>> {
    let mut encoded = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut encoded, JPEG_QUALITY);
    encode(picture, encoder)?;
    Ok(encoded)
}

/// In the channels that the picture has: grey stays grey.
fn encode(picture: &DynamicImage, encoder: impl ImageEncoder) -> Result<()> {
    let (width, height, color) = (picture.width(), picture.height(), picture.color());
    encoder.write_image(picture.as_bytes(), width, height, color.into())?;
    Ok(())
}

fn gif(picture: &DynamicImage) -> Result<Vec<u8>> {
    let mut encoded = Vec::new();
    GifEncoder::new(&mut encoded).encode_frame(Frame::new(picture.to_rgba8()))?;
    Ok(encoded)
}
