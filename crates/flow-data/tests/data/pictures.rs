//! Pictures of every format and color type, whole and damaged.

use std::{fs, io::Cursor, path::Path};

use flow_data::picture::{self, Color, Facts, Fit, Fitting, decode};
use image::{
    DynamicImage, GrayAlphaImage, GrayImage, ImageFormat, RgbImage, RgbaImage,
    buffer::ConvertBuffer,
};

const WIDTH: u32 = 5;
const HEIGHT: u32 = 3;

/// Pictures that Pillow 13 wrote, and their colors over white, as it reads them, at (2, 2),
/// (13, 2), (2, 13) and (13, 13).
///
/// ```python
/// import pathlib
/// import numpy as np
/// from PIL import Image, ImageOps
///
/// folder = pathlib.Path("crates/flow-data/tests/data/pictures")
/// RED, SEA, SAND, INK = (250, 20, 60), (10, 120, 200), (230, 200, 130), (5, 10, 20)
/// colors = Image.fromarray(np.array([[RED, SEA], [SAND, INK]], np.uint8))
/// blocks = colors.resize((16, 16), Image.NEAREST)
///
/// def save(name, picture, **options):
///     picture.save(folder / name, **options)
///
/// inks = np.array(blocks.convert("CMYK"))
/// inks[:8, :, 3] = 40
/// inks = Image.fromarray(inks, "CMYK")
/// save("cmyk.jpg", inks, quality=90)
/// # The same numbers, read as YCCK: byte 11 of Adobe's segment tells the transform.
/// content = bytearray((folder / "cmyk.jpg").read_bytes())
/// content[content.index(b"Adobe") + 11] = 2
/// (folder / "ycck.jpg").write_bytes(content)
/// save("progressive.jpg", blocks, quality=90, progressive=True)
/// save("cmyk.tiff", inks)
/// few = blocks.quantize(4)
/// save("palette.png", few, bits=2)
/// save("palette-transparent.png", few, bits=2, transparency=bytes([255, 128, 0, 255]))
/// save("palette.bmp", few)
/// black = [Image.new("RGB", (16, 16))]
/// save("animated.gif", blocks, save_all=True, append_images=black)
/// save("transparent.gif", few, transparency=few.getpixel((0, 0)))
/// save("animated.webp", blocks, save_all=True, append_images=black, lossless=True)
/// save("lossy.webp", blocks, quality=90)
/// one = blocks.convert("1", dither=Image.Dither.NONE)
/// save("one-bit.png", one)
/// save("one-bit.bmp", one)
/// save("fax.tiff", one, compression="group4")
/// save("lzw.tiff", blocks, compression="tiff_lzw")
/// save("jpeg.tiff", blocks, compression="jpeg", quality=90)
/// save("turned.tiff", blocks.convert("L"), tiffinfo={274: 6})
/// exif = "4578696600004d4d002a00000008000101120003000000010006000000000000"
/// save("turned.webp", blocks, lossless=True, exif=bytes.fromhex(exif))
///
/// for path in sorted(folder.iterdir()):
///     with Image.open(path) as picture:
///         picture = ImageOps.exif_transpose(picture).convert("RGBA")
///         white = Image.new("RGBA", picture.size, "white")
///         white.alpha_composite(picture)
///         rgb = white.convert("RGB")
///         places = (2, 2), (13, 2), (2, 13), (13, 13)
///         print(path.name, [list(rgb.getpixel(place)) for place in places])
/// ```
pub(crate) const OF_PILLOW: [(&str, [[u8; 3]; 4]); 18] = [
    (
        "animated.gif",
        [[250, 20, 60], [10, 120, 200], [230, 200, 130], [5, 10, 20]],
    ),
    (
        "animated.webp",
        [[250, 20, 60], [10, 120, 200], [230, 200, 130], [5, 10, 20]],
    ),
    (
        "cmyk.jpg",
        [[211, 17, 51], [8, 101, 169], [230, 200, 130], [5, 10, 20]],
    ),
    (
        "cmyk.tiff",
        [[211, 17, 51], [8, 101, 169], [230, 200, 130], [5, 10, 20]],
    ),
    (
        "fax.tiff",
        [[0, 0, 0], [0, 0, 0], [255, 255, 255], [0, 0, 0]],
    ),
    (
        "jpeg.tiff",
        [[250, 20, 60], [10, 120, 200], [230, 200, 130], [5, 10, 20]],
    ),
    (
        "lossy.webp",
        [[250, 20, 61], [10, 121, 200], [230, 201, 131], [6, 9, 19]],
    ),
    (
        "lzw.tiff",
        [[250, 20, 60], [10, 120, 200], [230, 200, 130], [5, 10, 20]],
    ),
    (
        "one-bit.bmp",
        [[0, 0, 0], [0, 0, 0], [255, 255, 255], [0, 0, 0]],
    ),
    (
        "one-bit.png",
        [[0, 0, 0], [0, 0, 0], [255, 255, 255], [0, 0, 0]],
    ),
    (
        "palette-transparent.png",
        [
            [255, 255, 255],
            [132, 187, 227],
            [230, 200, 130],
            [5, 10, 20],
        ],
    ),
    (
        "palette.bmp",
        [[250, 20, 60], [10, 120, 200], [230, 200, 130], [5, 10, 20]],
    ),
    (
        "palette.png",
        [[250, 20, 60], [10, 120, 200], [230, 200, 130], [5, 10, 20]],
    ),
    (
        "progressive.jpg",
        [[249, 20, 61], [12, 120, 195], [235, 197, 134], [0, 13, 21]],
    ),
    (
        "transparent.gif",
        [
            [255, 255, 255],
            [10, 120, 200],
            [230, 200, 130],
            [5, 10, 20],
        ],
    ),
    (
        "turned.tiff",
        [[201, 201, 201], [93, 93, 93], [10, 10, 10], [96, 96, 96]],
    ),
    (
        "turned.webp",
        [[230, 200, 130], [250, 20, 60], [5, 10, 20], [10, 120, 200]],
    ),
    (
        "ycck.jpg",
        [[84, 0, 165], [121, 215, 215], [22, 51, 0], [255, 132, 255]],
    ),
];

pub(crate) fn of_pillow(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pictures");
    fs::read(folder.join(name)).unwrap()
}

fn facts(content: &[u8]) -> Facts {
    picture::facts(Cursor::new(content)).unwrap()
}

/// The settings under which a picture of this size keeps all of its values.
pub(crate) fn as_is(width: u32, height: u32, color: Color) -> Fitting {
    Fitting {
        height: height as usize,
        width: width as usize,
        fit: Fit::Crop,
        color,
        background: Some([255; 3]),
    }
}

pub(crate) fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut content = Cursor::new(Vec::new());
    picture.write_to(&mut content, format).unwrap();
    content.into_inner()
}

#[test]
fn pictures_of_pillow_have_its_colors() {
    for (name, expected) in OF_PILLOW {
        let content = of_pillow(name);
        let found = decode(&content).unwrap();
        let facts = facts(&content);
        assert_eq!((facts.width, facts.height), (16, 16), "{name}");
        assert_eq!(facts.color, found.color().has_color(), "{name}");
        assert_eq!(facts.alpha, found.color().has_alpha(), "{name}");
        let pixels = as_is(16, 16, Color::Rgb).apply(found).unwrap();
        let places = [(2, 2), (13, 2), (2, 13), (13, 13)];
        let at = |(x, y): (usize, usize)| [0, 1, 2].map(|c| pixels[c * 256 + y * 16 + x]);
        let found = places.map(at);
        let values = found.as_flattened().iter().zip(expected.as_flattened());
        // Compression with loss is undone in arithmetic of each decoder's own.
        let off = values.map(|(a, b)| a.abs_diff(*b)).max();
        assert!(off <= Some(1), "{name}: {found:?} is not {expected:?}");
    }
}

/// A picture with many values, and one of 257 times these in 16 bits.
fn colorful() -> RgbaImage {
    RgbaImage::from_fn(WIDTH, HEIGHT, |x, y| {
        let at = (x + WIDTH * y) as u8;
        image::Rgba([at * 17, 255 - at * 13, at * 7 + 100, 255 - at % 2 * 100])
    })
}

/// Formats and the color types that they keep without loss.
pub(crate) fn kinds() -> Vec<(ImageFormat, DynamicImage)> {
    let rgba = colorful();
    let rgb: RgbImage = rgba.convert();
    let grey: GrayImage = rgba.convert();
    let grey_alpha: GrayAlphaImage = rgba.convert();
    let eight: [DynamicImage; 4] = [grey.into(), rgb.into(), rgba.into(), grey_alpha.into()];
    let sixteen: [DynamicImage; 4] = [
        eight[0].to_luma16().into(),
        eight[1].to_rgb16().into(),
        eight[2].to_rgba16().into(),
        eight[3].to_luma_alpha16().into(),
    ];
    let all = |format, kinds: &[DynamicImage]| {
        kinds
            .iter()
            .map(|kind| (format, kind.clone()))
            .collect::<Vec<_>>()
    };
    [
        all(ImageFormat::Png, &eight),
        all(ImageFormat::Png, &sixteen),
        all(ImageFormat::Tiff, &eight[..3]),
        all(ImageFormat::Tiff, &sixteen[..3]),
        all(ImageFormat::Tiff, &[eight[1].to_rgb32f().into()]),
        all(ImageFormat::Bmp, &eight[..3]),
        all(ImageFormat::WebP, &eight),
        all(ImageFormat::Gif, &eight[1..2]),
    ]
    .concat()
}

#[test]
fn every_format_keeps_every_color_type() {
    for (format, original) in kinds() {
        let content = encoded(&original, format);
        let (color, alpha) = (original.color().has_color(), original.color().has_alpha());
        let found = facts(&content);
        assert_eq!((found.width, found.height), (WIDTH, HEIGHT));
        assert!(found.color >= color && found.alpha >= alpha, "{format:?}");
        for channels in [Color::Grey, Color::Rgb] {
            let fitting = as_is(WIDTH, HEIGHT, channels);
            let expected = fitting.apply(original.clone()).unwrap();
            let pixels = fitting.apply(decode(&content).unwrap()).unwrap();
            assert_eq!(pixels, expected, "{format:?} {:?}", original.color());
        }
    }
}

#[test]
fn sixteen_bits_are_rounded() {
    let values = [
        0, 128, 129, 385, 386, 32_767, 32_768, 65_406, 65_407, 65_535,
    ];
    let expected = [0, 0, 1, 1, 2, 127, 128, 254, 255, 255];
    let picture = image::ImageBuffer::from_raw(10, 1, values.to_vec()).unwrap();
    let content = encoded(&DynamicImage::ImageLuma16(picture), ImageFormat::Png);
    let pixels = as_is(10, 1, Color::Grey).apply(decode(&content).unwrap());
    assert_eq!(pixels.unwrap(), expected);
}
