//! One picture from a PNG or JPEG file, upright, in the channels that a model takes.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{BufRead, BufReader, Read, Seek, SeekFrom},
    path::Path,
};

use anyhow::{Error, Result, anyhow, ensure};
use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, metadata::Orientation,
};

/// Extensions of picture files, in small letters.
const EXTENSIONS: [&str; 3] = ["jpeg", "jpg", "png"];

/// Bytes that a decoder may take beside the pixels, such as for color profiles.
const MAX_MEMORY: u64 = 1 << 26;

/// Bytes that the pixels of one picture may take.
const MAX_PIXELS: u64 = 1 << 29;

/// The eight bytes before the chunks of a PNG file.
const PNG_SIGNATURE: u64 = 8;

/// True if the name of the file ends like that of a picture.
pub(crate) fn has_extension(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str);
    let extension = extension.map(str::to_ascii_lowercase);
    extension.is_some_and(|extension| EXTENSIONS.contains(&&*extension))
}

/// Reads the picture in a file and turns it as its EXIF orientation says, so that its first row is
/// the top. `fits` is asked about its upright width and height before any pixel is decoded.
///
/// # Errors
/// If the file is no whole PNG or JPEG, does not fit, or is transparent anywhere.
pub(crate) fn open(path: &Path, fits: impl FnOnce(u32, u32) -> Result<()>) -> Result<DynamicImage> {
    let linked = path.exists() || !path.is_symlink();
    ensure!(linked, "it is a link to a file that is not there");
    // A pipe or a device might never end.
    let metadata = fs::metadata(path)?;
    ensure!(metadata.is_file(), "it is not a file");
    ensure!(metadata.len() > 0, "it is empty");
    let mut reader = ImageReader::new(BufReader::new(File::open(path)?)).with_guessed_format()?;
    let format = reader.format();
    ensure!(
        matches!(format, Some(ImageFormat::Png | ImageFormat::Jpeg)),
        "it is neither PNG nor JPEG"
    );
    if format == Some(ImageFormat::Jpeg) {
        // The decoder fills up with grey what is missing.
        ensure!(has_end(&fs::read(path)?), "it is cut off");
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_MEMORY);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(reason)?;
    let mut exif = decoder.exif_metadata().map_err(reason)?;
    if exif.is_none() && format == Some(ImageFormat::Png) {
        exif = exif_of_png(BufReader::new(File::open(path)?))?;
    }
    let orientation = orientation(&exif.unwrap_or_default());
    let (width, height) = decoder.dimensions();
    // Those of 5 to 8 lie on their side.
    if orientation.to_exif() < 5 {
        fits(width, height)?;
    } else {
        fits(height, width)?;
    }
    ensure!(
        decoder.total_bytes() <= MAX_PIXELS,
        "it is too large a picture"
    );
    let mut picture = DynamicImage::from_decoder(decoder).map_err(reason)?;
    picture.apply_orientation(orientation);
    ensure_opaque(&picture)?;
    Ok(picture)
}

/// The bytes of a picture, row by row, the channels of a pixel side by side: red, green and blue if
/// `channels` is 3, one grey otherwise. Sixteen bits are rounded to eight, opaque alpha is left
/// out.
pub(crate) fn values(picture: DynamicImage, channels: usize) -> Vec<u8> {
    match channels {
        1 if picture.color().has_color() => {
            let colors = picture.into_rgb8().into_raw();
            colors.as_chunks().0.iter().copied().map(luma).collect()
        }
        1 => picture.into_luma8().into_raw(),
        _ => picture.into_rgb8().into_raw(),
    }
}

/// Grey of red, green and blue by the weights 0.299, 0.587 and 0.114 (ITU-R BT.601), in the
/// arithmetic of Pillow's `convert("L")`, and so of torchvision's `Grayscale`.
fn luma([red, green, blue]: [u8; 3]) -> u8 {
    let weighted = 19_595 * u32::from(red) + 38_470 * u32::from(green) + 7471 * u32::from(blue);
    ((weighted + 0x8000) >> 16) as u8
}

fn orientation(exif: &[u8]) -> Orientation {
    // Some writers of PNG begin as JPEG files do.
    let exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    Orientation::from_exif_chunk(exif).unwrap_or(Orientation::NoTransforms)
}

/// The content of the chunk `eXIf`, also behind the pixels, where ImageMagick writes it and a
/// decoder has not looked yet.
fn exif_of_png(mut file: impl BufRead + Seek) -> Result<Option<Vec<u8>>> {
    file.seek(SeekFrom::Start(PNG_SIGNATURE))?;
    let mut head = [0; 8];
    while file.read_exact(&mut head).is_ok() {
        let [a, b, c, d, name @ ..] = head;
        let length = u32::from_be_bytes([a, b, c, d]);
        if &name == b"eXIf" {
            let mut exif = Vec::new();
            file.take(u64::from(length)).read_to_end(&mut exif)?;
            return Ok(Some(exif));
        }
        // The checksum follows.
        file.seek_relative(i64::from(length) + 4)?;
    }
    Ok(None)
}

/// True if the segments of a JPEG lead to its end marker. Between segments stands compressed data,
/// in which a byte 255 is followed by 0 or by the number of a restart.
fn has_end(jpeg: &[u8]) -> bool {
    let mut rest = jpeg.get(2..).unwrap_or_default();
    let is_marker = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 1 | 0xd0..=0xd7 | 0xff);
    while let Some(at) = rest.windows(2).position(is_marker) {
        let [_, marker, length @ ..] = &rest[at..] else {
            return false;
        };
        if *marker == 0xd9 {
            return true;
        }
        let length = length.first_chunk().copied().map_or(0, u16::from_be_bytes);
        rest = rest.get(at + 2 + usize::from(length)..).unwrap_or_default();
    }
    false
}

/// Refuses transparent pixels, since the background below them is undefined.
fn ensure_opaque(picture: &DynamicImage) -> Result<()> {
    if picture.color().has_alpha() {
        let mut pixels = picture.to_rgba16().into_raw().into_iter();
        let opaque = pixels.by_ref().skip(3).step_by(4).all(|a| a == u16::MAX);
        ensure!(
            opaque,
            "parts of it are transparent; lay it on a background first"
        );
    }
    Ok(())
}

/// The reason of a decoder, without its internals.
fn reason(error: ImageError) -> Error {
    match error {
        ImageError::IoError(error) => error.into(),
        ImageError::Limits(_) => anyhow!("it takes more memory than an image of its size should"),
        ImageError::Unsupported(_) => {
            anyhow!("it is of an unusual kind; save it as an ordinary PNG")
        }
        _ => anyhow!("it is damaged"),
    }
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;

    /// Grey as Pillow 13 gives it: `Image.new("RGB", (1, 1), color).convert("L").getpixel((0, 0))`.
    #[test]
    fn grey_is_that_of_pillow() {
        let known = [
            ([0, 0, 0], 0),
            ([255, 255, 255], 255),
            ([255, 0, 0], 76),
            ([0, 255, 0], 150),
            ([0, 0, 255], 29),
            ([1, 2, 3], 2),
            ([128, 128, 128], 128),
            ([200, 100, 50], 124),
            ([12, 250, 99], 162),
            ([254, 255, 254], 255),
            ([2, 0, 0], 1),
            ([0, 1, 0], 1),
            ([0, 0, 4], 0),
            ([0, 0, 5], 1),
            ([68, 32, 130], 54),
            ([60, 253, 230], 193),
            ([241, 194, 107], 198),
            ([199, 221, 1], 189),
            ([228, 136, 117], 161),
            ([11, 13, 4], 11),
            ([195, 110, 216], 147),
        ];
        for (color, grey) in known {
            let picture = DynamicImage::from(RgbImage::from_pixel(1, 1, Rgb(color)));
            assert_eq!(values(picture, 1), [grey], "{color:?}");
        }
        // Grey saved as color keeps its value.
        for value in 0..=255 {
            assert_eq!(luma([value; 3]), value);
        }
    }
}
