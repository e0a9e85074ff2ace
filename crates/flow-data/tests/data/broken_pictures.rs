//! Pictures that are too large, cut off or damaged.

use std::io::Cursor;

use flow_data::picture::{self, Color, Fit, Fitting, decode};
use flow_testing::{
    damage::{check_text, damage, damaged, picture_limit, within},
    turned::with_app1,
};
use image::{DynamicImage, ImageFormat};
use proptest::prelude::*;

use crate::pictures;

/// The first bytes of files that announce pictures of this size, as far as decoders look before
/// they see that it is too large.
fn announced(width: u32, height: u32) -> Vec<(ImageFormat, Vec<u8>)> {
    let white = DynamicImage::new_rgb8(1, 1);
    let put = |format, at: usize, bytes: &[u8]| {
        let mut content = pictures::encoded(&white, format);
        content[at..at + bytes.len()].copy_from_slice(bytes);
        (format, content)
    };
    let (w, h) = (width as u16, height as u16);
    let mut png = put(
        ImageFormat::Png,
        16,
        &[width.to_be_bytes(), height.to_be_bytes()].concat(),
    );
    let mut crc = flate2::Crc::new();
    crc.update(&png.1[12..29]);
    png.1[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    let jpeg = pictures::encoded(&white, ImageFormat::Jpeg);
    let frame = jpeg
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    vec![
        png,
        put(
            ImageFormat::Jpeg,
            frame + 5,
            &[h.to_be_bytes(), w.to_be_bytes()].concat(),
        ),
        put(
            ImageFormat::Gif,
            6,
            &[w.to_le_bytes(), h.to_le_bytes()].concat(),
        ),
        put(
            ImageFormat::Bmp,
            18,
            &[width.to_le_bytes(), height.to_le_bytes()].concat(),
        ),
    ]
}

#[test]
fn too_large_and_empty_pictures_are_named() {
    for (format, content) in announced(60_000, 60_000) {
        let error = decode(&content).unwrap_err().to_string();
        let expected = "it is too large a picture: 60000×60000 pixels";
        assert_eq!(error, expected, "{format:?}");
    }
    for (format, content) in [(0, 1), (1, 0)].map(|(w, h)| announced(w, h)).concat() {
        let error = decode(&content).unwrap_err().to_string();
        let expected = [
            "it has no pixels",
            "it is damaged",
            "it is of an unusual kind",
        ];
        assert!(
            expected.iter().any(|text| error.starts_with(text)),
            "{format:?}: {error}"
        );
    }
    let wide = DynamicImage::new_luma8(40_000, 1);
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Tiff] {
        let error = decode(&pictures::encoded(&wide, format)).unwrap_err();
        let expected = "it is too large a picture: 40000×1 pixels";
        assert_eq!(error.to_string(), expected);
    }
    let known = [
        (&b""[..], "it is empty"),
        (b"text", "it is no picture of a known format"),
    ];
    for (content, expected) in known {
        assert_eq!(decode(content).unwrap_err().to_string(), expected);
    }
}

/// The decoder of GIF keeps two copies of a frame, and counts one.
#[test]
fn a_frame_larger_than_its_picture_takes_no_more_memory_than_allowed() {
    let small = DynamicImage::new_rgba8(16, 16);
    let mut content = pictures::encoded(&small, ImageFormat::Gif);
    let frame = content
        .windows(9)
        .position(|part| part == [0x2c, 0, 0, 0, 0, 16, 0, 16, 0]);
    let sizes = frame.unwrap() + 5;
    content[sizes..sizes + 4].copy_from_slice(&[0xff, 0xff, 0xfa, 0]);
    let decoded = within(picture_limit(&content, 16 * 16), || decode(&content));
    let expected = "it takes more memory than an image of its size should";
    assert_eq!(decoded.unwrap_err().to_string(), expected);
}

/// Whole pictures of all formats, among them a JPEG with a thumbnail that has an end of its own.
fn whole() -> Vec<(String, Vec<u8>)> {
    let written = pictures::kinds().into_iter().map(|(format, picture)| {
        let name = format!("{format:?} {:?}", picture.color());
        (name, pictures::encoded(&picture, format))
    });
    let fixtures = pictures::OF_PILLOW
        .iter()
        .map(|(name, _)| (name.to_string(), pictures::of_pillow(name)));
    let jpeg = pictures::encoded(&DynamicImage::new_rgb8(8, 8), ImageFormat::Jpeg);
    let with_thumbnail = with_app1(&jpeg, &jpeg);
    let jpegs = [("with a thumbnail".to_owned(), with_thumbnail)];
    written.chain(fixtures).chain(jpegs).collect()
}

#[test]
fn a_part_of_a_picture_is_an_error() {
    for (name, content) in whole() {
        let picture = decode(&content).unwrap();
        let is_jpeg = content.starts_with(b"\xff\xd8");
        for end in 0..content.len() {
            match decode(&content[..end]) {
                // Other formats may close with marks behind the pixels, or with more frames.
                Ok(found) => assert!(!is_jpeg && found == picture, "{name} up to {end}"),
                Err(error) => check_text(&error, ""),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn damaged_pictures_are_images_or_errors(
        which in any::<prop::sample::Index>(), damage in damage(),
    ) {
        let all = whole();
        let (_, content) = which.get(&all);
        let content = damaged(content, &damage);
        let header = || picture::facts(Cursor::new(&content));
        let facts = within(picture_limit(&content, 0), header);
        let pixels = facts.map_or(0, |facts| facts.width as usize * facts.height as usize);
        match within(picture_limit(&content, pixels), || decode(&content)) {
            Ok(picture) => {
                let fitting = Fitting {
                    fit: Fit::Pad,
                    ..pictures::as_is(6, 4, Color::Rgb)
                };
                prop_assert_eq!(fitting.apply(picture).unwrap().len(), 72);
            }
            Err(error) => check_text(&error, ""),
        }
    }
}
