//! Pictures that a camera stored on their side.

use flow_data::picture::{self, decode};
use image::{DynamicImage, GrayImage, ImageFormat, Luma};

use crate::pictures::encoded;

const WIDTH: u32 = 16;
const HEIGHT: u32 = 24;

/// Blocks of 8×8 pixels, which JPEG keeps the same wherever they lie, in a pattern without
/// symmetry.
fn upright() -> GrayImage {
    let blocks = [[10, 90], [250, 60], [140, 200]];
    GrayImage::from_fn(WIDTH, HEIGHT, |x, y| {
        Luma([blocks[y as usize / 8][x as usize / 8]])
    })
}

/// [`upright`] as a camera stores it for an EXIF orientation. TIFF 6.0: the row 0 of the stored
/// picture is the top, top, bottom, bottom, left, right, right, left, and its column 0 is the left,
/// right, right, left, top, top, bottom, bottom of what was seen.
fn stored(orientation: u8) -> DynamicImage {
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
    let picture = GrayImage::from_fn(width, height, |column, row| {
        let (x, y) = seen(column, row);
        *upright.get_pixel(x, y)
    });
    picture.into()
}

/// EXIF with a camera's name beside the orientation, in either order of bytes.
fn exif(orientation: u8, big_endian: bool) -> Vec<u8> {
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
pub(crate) fn with_app1(jpeg: &[u8], exif: &[u8]) -> Vec<u8> {
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
fn with_chunk(png: &[u8], exif: &[u8], behind: bool) -> Vec<u8> {
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

/// A lossless WebP in the extended form, with EXIF behind the pixels.
fn webp_with_exif(webp: &[u8], exif: &[u8], picture: &DynamicImage) -> Vec<u8> {
    let side = |pixels: u32| (pixels - 1).to_le_bytes()[..3].to_vec();
    let chunks = [
        // The flag of EXIF, then width and height.
        b"VP8X\x0a\0\0\0\x08\0\0\0".to_vec(),
        side(picture.width()),
        side(picture.height()),
        webp[12..].to_vec(),
        b"EXIF".to_vec(),
        (exif.len() as u32).to_le_bytes().to_vec(),
        exif.to_vec(),
    ]
    .concat();
    let length = (4 + chunks.len()) as u32;
    [b"RIFF", &length.to_le_bytes()[..], b"WEBP", &chunks].concat()
}

/// A TIFF whose first tag, its width, lies behind one more, the orientation.
fn tiff_with_tag(orientation: u8) -> Vec<u8> {
    let mut content = encoded(&stored(orientation), ImageFormat::Tiff);
    // The resolution is optional, and its place in the order of tags is behind.
    let resolution = b"\x1a\x01\x05\0\x01\0\0\0";
    let at = content
        .windows(8)
        .position(|bytes| bytes == resolution)
        .unwrap();
    content[at..at + 12].copy_from_slice(&[18, 1, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0]);
    content
}

#[test]
fn pictures_are_turned_as_their_exif_says() {
    for (orientation, big_endian) in (1..=8).flat_map(|o| [(o, false), (o, true)]) {
        let picture = stored(orientation);
        assert!((picture.to_luma8() == upright()) == (orientation == 1));
        let exif = exif(orientation, big_endian);
        let prefixed = [b"Exif\0\0", &exif[..]].concat();
        let formats = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP];
        let [png, jpeg, webp] = formats.map(|format| encoded(&picture, format));
        let files = [
            with_app1(&jpeg, &exif),
            with_chunk(&png, &exif, false),
            with_chunk(&png, &exif, true),
            with_chunk(&png, &prefixed, false),
            webp_with_exif(&webp, &exif, &picture),
            webp_with_exif(&webp, &prefixed, &picture),
            tiff_with_tag(orientation),
        ];
        for (i, content) in files.iter().enumerate() {
            let facts = picture::facts(std::io::Cursor::new(content)).unwrap();
            assert_eq!(
                (facts.width, facts.height),
                (WIDTH, HEIGHT),
                "{i}: {orientation}"
            );
            let found = decode(content).unwrap().to_luma8();
            let near = |(a, b): (&u8, &u8)| a.abs_diff(*b) <= u8::from(i == 0);
            assert!(
                found.iter().zip(upright().iter()).all(near),
                "{i}: {orientation}"
            );
        }
    }
}
