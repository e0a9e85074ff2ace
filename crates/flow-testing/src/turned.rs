//! Pictures that a camera stored on their side, with EXIF that says so.

use image::{GrayImage, Luma};

/// Width of [`upright`].
pub const WIDTH: u32 = 24;
/// Height of [`upright`].
pub const HEIGHT: u32 = 16;

/// Blocks of 8×8 pixels, which JPEG keeps the same wherever they lie, in a pattern without
/// symmetry.
pub fn upright() -> GrayImage {
    GrayImage::from_fn(WIDTH, HEIGHT, |x, y| {
        Luma([[[10, 90, 200], [250, 60, 140]][y as usize / 8][x as usize / 8]])
    })
}

/// [`upright`] as a camera stores it for an EXIF orientation. TIFF 6.0: the row 0 of the stored
/// picture is the top, top, bottom, bottom, left, right, right, left, and its column 0 is the left,
/// right, right, left, top, top, bottom, bottom of what was seen.
pub fn stored(orientation: u8) -> GrayImage {
    let upright = upright();
    let (w, h) = (WIDTH - 1, HEIGHT - 1);
    let seen = |column: u32, row: u32| match orientation {
        1 => (column, row),
        2 => (w - column, row),
        3 => (w - column, h - row),
        4 => (column, h - row),
        5 => (row, column),
        6 => (w - row, column),
        7 => (w - row, h - column),
        8 => (row, h - column),
        _ => unreachable!(),
    };
    let (width, height) = if orientation < 5 {
        (WIDTH, HEIGHT)
    } else {
        (HEIGHT, WIDTH)
    };
    GrayImage::from_fn(width, height, |column, row| {
        let (x, y) = seen(column, row);
        *upright.get_pixel(x, y)
    })
}

/// EXIF with a camera's name beside the orientation, in either order of bytes.
pub fn exif(orientation: u8, big_endian: bool) -> Vec<u8> {
    let order = |bytes: &[u8]| -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        if big_endian {
            bytes.reverse();
        }
        bytes
    };
    let short = |value: u16| order(&value.to_le_bytes());
    let long = |value: u32| order(&value.to_le_bytes());
    [
        if big_endian { b"MM" } else { b"II" }.to_vec(),
        short(42),
        long(8),
        short(2),
        // Make, text of four bytes.
        [short(0x010f), short(2), long(4), b"cam\0".to_vec()].concat(),
        // Orientation, one short number.
        [short(0x0112), short(3), long(1)].concat(),
        [short(u16::from(orientation)), short(0)].concat(),
        long(0),
    ]
    .concat()
}

/// A JPEG with EXIF in front.
pub fn with_app1(jpeg: &[u8], exif: &[u8]) -> Vec<u8> {
    let length = (2 + 6 + exif.len()) as u16;
    [
        &jpeg[..2],
        &[0xff, 0xe1],
        &length.to_be_bytes(),
        b"Exif\0\0",
        exif,
        &jpeg[2..],
    ]
    .concat()
}

/// A PNG with EXIF in front of the pixels, behind its header of 33 bytes, or behind them, in front
/// of its end of 12.
pub fn with_chunk(png: &[u8], exif: &[u8], behind: bool) -> Vec<u8> {
    let content = [b"eXIf", exif].concat();
    let mut crc = flate2::Crc::new();
    crc.update(&content);
    let (front, rest) = png.split_at(if behind { png.len() - 12 } else { 33 });
    [
        front,
        &(exif.len() as u32).to_be_bytes(),
        &content,
        &crc.sum().to_be_bytes(),
        rest,
    ]
    .concat()
}
