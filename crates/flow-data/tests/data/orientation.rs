//! Pictures that a camera stored on their side.

use flow_data::picture::{self, decode};
use flow_testing::turned::{HEIGHT, WIDTH, exif, stored, upright, with_app1, with_chunk};
use image::{DynamicImage, ImageFormat};

use crate::pictures::encoded;

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
    let mut content = encoded(&stored(orientation).into(), ImageFormat::Tiff);
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
        assert!((picture == upright()) == (orientation == 1));
        let picture = DynamicImage::from(picture);
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
