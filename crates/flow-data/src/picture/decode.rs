//! One picture, upright.

use std::{
    ffi::OsStr,
    io::{self, BufRead, Cursor, ErrorKind, Read, Seek, SeekFrom},
    path::Path,
};

use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, metadata::Orientation,
};

use crate::{Malformed, malformed::ensure};

/// Extensions of picture files, in small letters.
pub const EXTENSIONS: [&str; 8] = ["bmp", "gif", "jpeg", "jpg", "png", "tif", "tiff", "webp"];

/// Bytes that a decoder may take beside the pixels, such as for color profiles, by its own count.
/// That of GIF leaves out a fifth of what it takes for a frame larger than its picture.
const MAX_MEMORY: u64 = 48 << 20;

/// Bytes that the pixels of one picture may take.
const MAX_PIXELS: u64 = 1 << 29;

/// Pixels of the longer side of a picture: more than cameras and scanners give.
const MAX_SIDE: u32 = 1 << 15;

/// The bytes before the chunks of a PNG file.
const PNG_SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// Facts that the header of a picture tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Width in pixels, upright.
    pub width: u32,
    /// Height in pixels, upright.
    pub height: u32,
    /// It has colors, or a palette.
    pub color: bool,
    /// Pixels may be transparent.
    pub alpha: bool,
}

/// True if the name of the file ends like that of a picture.
pub fn has_extension(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str);
    let extension = extension.map(str::to_ascii_lowercase);
    extension.is_some_and(|extension| EXTENSIONS.contains(&&*extension))
}

/// Reads the header of a picture.
///
/// # Errors
/// It is no picture of a known format, or its header is damaged.
pub fn facts(content: impl BufRead + Seek) -> Result<Facts, Malformed> {
    let (decoder, orientation) = open(content)?;
    let (width, height) = decoder.dimensions();
    let color = decoder.color_type();
    // Those of 5 to 8 lie on their side.
    let (width, height) = if orientation.to_exif() < 5 {
        (width, height)
    } else {
        (height, width)
    };
    Ok(Facts {
        width,
        height,
        color: color.has_color(),
        alpha: color.has_alpha(),
    })
}

/// Decodes a picture and turns it as its EXIF orientation says, so that its first row is the top.
///
/// # Errors
/// It is no picture of a known format, or is damaged, cut off or too large.
pub fn decode(content: &[u8]) -> Result<DynamicImage, Malformed> {
    if image::guess_format(content).is_ok_and(|format| format == ImageFormat::Jpeg) {
        // The decoder fills up with grey what is missing.
        ensure!(has_end(content), "it is cut off");
    }
    let (mut decoder, orientation) = open(Cursor::new(content))?;
    let bytes = decoder.total_bytes();
    let (width, height) = decoder.dimensions();
    ensure!(
        bytes <= MAX_PIXELS,
        "it is too large a picture: {width}×{height} pixels"
    );
    decoder.set_limits(limits(bytes)).map_err(reason)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(reason)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

fn open<'a>(
    mut content: impl BufRead + Seek + 'a,
) -> Result<(impl ImageDecoder + 'a, Orientation), Malformed> {
    let is_empty = content.fill_buf().map_err(Malformed::new)?.is_empty();
    ensure!(!is_empty, "it is empty");
    let chunks = Chunks::of(&mut content).map_err(ended)?;
    let exif = match &chunks {
        Some(chunks) => chunks.exif(&mut content).map_err(ended)?,
        None => None,
    };
    content.rewind().map_err(Malformed::new)?;
    let mut reader = ImageReader::new(content)
        .with_guessed_format()
        .map_err(Malformed::new)?;
    ensure!(
        reader.format().is_some(),
        "it is no picture of a known format"
    );
    reader.limits(limits(0));
    let mut decoder = reader.into_decoder().map_err(reason)?;
    let (width, height) = decoder.dimensions();
    ensure!(width > 0 && height > 0, "it has no pixels");
    ensure!(
        width.max(height) <= MAX_SIDE,
        "it is too large a picture: {width}×{height} pixels"
    );
    let exif = match chunks {
        Some(_) => exif,
        None => decoder.exif_metadata().map_err(reason)?,
    };
    let orientation = match exif {
        Some(exif) => orientation(&exif),
        None if chunks.is_some() => Orientation::NoTransforms,
        // That of TIFF stands among its own tags.
        None => decoder.orientation().map_err(reason)?,
    };
    Ok((decoder, orientation))
}

/// The memory that a decoder may take, with that of the pixels.
fn limits(pixels: u64) -> Limits {
    let mut limits = Limits::default();
    limits.max_alloc = Some(pixels + MAX_MEMORY);
    limits
}

fn orientation(exif: &[u8]) -> Orientation {
    // Some writers of PNG begin as JPEG files do.
    let exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    Orientation::from_exif_chunk(exif).unwrap_or(Orientation::NoTransforms)
}

/// Formats of chunks, each a name and a length before its content.
///
/// Their decoders miss EXIF behind the pixels of a PNG, where ImageMagick writes it, and take as
/// much memory as the length of a chunk of WebP says.
enum Chunks {
    Png,
    WebP,
}

impl Chunks {
    fn of(mut file: impl BufRead + Seek) -> io::Result<Option<Self>> {
        let mut start = Vec::new();
        file.by_ref().take(8).read_to_end(&mut start)?;
        if start == PNG_SIGNATURE {
            return Ok(Some(Self::Png));
        }
        if !start.starts_with(b"RIFF") {
            return Ok(None);
        }
        let mut form = Vec::new();
        file.by_ref().take(4).read_to_end(&mut form)?;
        if form != b"WEBP" {
            return Ok(None);
        }
        let bytes = start.last_chunk().copied().map_or(0, u32::from_le_bytes);
        let (position, end) = (file.stream_position()?, file.seek(SeekFrom::End(0))?);
        if u64::from(bytes) + 8 > end {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        file.seek(SeekFrom::Start(position))?;
        Ok(Some(Self::WebP))
    }

    /// The content of the chunk of EXIF in the rest of the file.
    fn exif(&self, mut file: impl BufRead + Seek) -> io::Result<Option<Vec<u8>>> {
        let mut head = [0; 8];
        while file.read_exact(&mut head).is_ok() {
            let [first, last] = [[0, 1, 2, 3], [4, 5, 6, 7]].map(|at| at.map(|i: usize| head[i]));
            let (is_exif, length, rest) = match self {
                // A checksum follows.
                Self::Png => (&last == b"eXIf", u32::from_be_bytes(first), 4),
                // Lengths are filled up to even ones.
                Self::WebP => {
                    let length = u32::from_le_bytes(last);
                    (&first == b"EXIF", length, i64::from(length % 2))
                }
            };
            if is_exif {
                let mut exif = Vec::new();
                file.take(u64::from(length)).read_to_end(&mut exif)?;
                return Ok(Some(exif));
            }
            file.seek_relative(i64::from(length) + rest)?;
        }
        Ok(None)
    }
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

/// The reason of a file that ends too early, or cannot be read.
fn ended(error: io::Error) -> Malformed {
    match error.kind() {
        ErrorKind::UnexpectedEof => "it is cut off".into(),
        _ => Malformed::new(error),
    }
}

/// The reason of a decoder, without its internals.
fn reason(error: ImageError) -> Malformed {
    match error {
        ImageError::IoError(error) => ended(error),
        ImageError::Limits(_) => {
            Malformed::from("it takes more memory than an image of its size should")
        }
        ImageError::Unsupported(_) => {
            Malformed::from("it is of an unusual kind; save it as an ordinary PNG")
        }
        _ => Malformed::from("it is damaged"),
    }
}
