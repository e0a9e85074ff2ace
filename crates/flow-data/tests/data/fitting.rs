//! Pictures of any size as images of one shape.

use flow_data::picture::{Color, Fit, Fitting};
use image::{DynamicImage, GrayImage, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use proptest::prelude::*;

const FITS: [Fit; 3] = [Fit::Crop, Fit::Pad, Fit::Stretch];

fn fitting(width: usize, height: usize, fit: Fit, color: Color) -> Fitting {
    Fitting {
        height,
        width,
        fit,
        color,
        background: Some([9, 8, 7]),
    }
}

/// Patches of 8 pixels a side between points of many values.
fn smooth(width: u32, height: u32) -> DynamicImage {
    let point = |i: u32, j: u32, c: u32| 60 + (i * 73 + j * 151 + c * 97 + i * j * 29) % 130;
    let picture = RgbImage::from_fn(width, height, |x, y| {
        let (i, j, dx, dy) = (x / 8, y / 8, x % 8, y % 8);
        let value = |c: usize| {
            let c = c as u32;
            let above = point(i, j, c) * (8 - dx) + point(i + 1, j, c) * dx;
            let below = point(i, j + 1, c) * (8 - dx) + point(i + 1, j + 1, c) * dx;
            ((above * (8 - dy) + below * dy + 32) / 64) as u8
        };
        Rgb(std::array::from_fn(value))
    });
    picture.into()
}

/// Pillow 13, to one grey level: intermediate values are rounded in another order.
///
/// ```python
/// import numpy as np
/// from PIL import Image
///
/// def point(i, j, c):
///     return 60 + (i * 73 + j * 151 + c * 97 + i * j * 29) % 130
///
/// def smooth(width, height):
///     picture = np.zeros((height, width, 3), np.uint8)
///     for y, x, c in np.ndindex(picture.shape):
///         i, j, dx, dy = x // 8, y // 8, x % 8, y % 8
///         above = point(i, j, c) * (8 - dx) + point(i + 1, j, c) * dx
///         below = point(i, j + 1, c) * (8 - dx) + point(i + 1, j + 1, c) * dx
///         picture[y, x, c] = (above * (8 - dy) + below * dy + 32) // 64
///     return Image.fromarray(picture)
///
/// def show(image):
///     values = np.asarray(image).reshape(image.height, image.width, -1)
///     print(values.transpose(2, 0, 1).flatten().tolist())
///
/// picture = smooth(37, 23)
/// # As high as the picture, and as wide as 7 to 5 makes it.
/// show(picture.resize((7, 5), Image.LANCZOS, (2.4, 0, 34.6, 23)))
/// show(picture.resize((7, 5), Image.LANCZOS))
/// padded = Image.new("RGB", (6, 6), (9, 8, 7))
/// padded.paste(picture.resize((6, 4), Image.LANCZOS), (0, 1))
/// show(padded)
/// grey = smooth(9, 14).convert("L")
/// show(grey.resize((12, 11), Image.LANCZOS, (0, 2.875, 9, 11.125)))
/// show(grey.resize((4, 20), Image.LANCZOS))
/// ```
#[test]
fn scaled_pictures_are_those_of_pillow() {
    let wide = smooth(37, 23);
    let high = smooth(9, 14);
    let known: [(&DynamicImage, Fitting, &[u8]); 5] = [
        (
            &wide,
            fitting(7, 5, Fit::Crop, Color::Rgb),
            &[
                104, 139, 108, 104, 137, 125, 101, 125, 171, 151, 137, 134, 119, 99, 122, 153, 144,
                133, 122, 112, 101, 106, 111, 111, 110, 107, 106, 106, 120, 129, 140, 132, 102, 98,
                110, 136, 116, 147, 151, 119, 129, 157, 159, 140, 136, 125, 105, 94, 98, 131, 120,
                108, 97, 88, 76, 73, 78, 78, 78, 79, 79, 76, 74, 86, 96, 105, 115, 125, 108, 81,
                103, 83, 114, 119, 86, 108, 149, 124, 105, 101, 91, 69, 101, 153, 145, 135, 123,
                112, 102, 124, 160, 162, 159, 160, 160, 160, 164, 169, 152, 129, 138, 147, 156,
                166, 168,
            ],
        ),
        (
            &wide,
            fitting(7, 5, Fit::Stretch, Color::Rgb),
            &[
                87, 134, 114, 104, 138, 115, 103, 104, 162, 156, 137, 132, 112, 95, 107, 147, 147,
                133, 120, 109, 97, 104, 110, 111, 110, 107, 106, 106, 117, 126, 139, 132, 100, 102,
                114, 147, 118, 141, 150, 117, 140, 158, 166, 145, 136, 125, 103, 92, 106, 135, 124,
                110, 97, 87, 72, 80, 78, 78, 78, 79, 78, 76, 75, 82, 93, 104, 115, 124, 97, 79,
                115, 85, 109, 118, 85, 125, 148, 131, 110, 102, 90, 70, 121, 156, 149, 138, 125,
                112, 103, 138, 163, 163, 160, 160, 160, 160, 166, 169, 163, 133, 135, 148, 157,
                169, 163,
            ],
        ),
        (
            &wide,
            fitting(6, 6, Fit::Pad, Color::Rgb),
            &[
                9, 9, 9, 9, 9, 9, 97, 140, 111, 128, 123, 101, 114, 166, 151, 134, 116, 96, 106,
                122, 119, 113, 108, 103, 114, 123, 133, 110, 99, 112, 9, 9, 9, 9, 9, 9, 8, 8, 8, 8,
                8, 8, 147, 125, 150, 127, 125, 150, 159, 140, 124, 105, 84, 91, 95, 90, 84, 79, 73,
                75, 79, 90, 101, 114, 101, 78, 8, 8, 8, 8, 8, 8, 7, 7, 7, 7, 7, 7, 112, 90, 116,
                90, 108, 149, 136, 116, 101, 77, 109, 158, 159, 154, 149, 142, 153, 167, 161, 138,
                147, 158, 169, 166, 7, 7, 7, 7, 7, 7,
            ],
        ),
        (
            &high,
            fitting(12, 11, Fit::Crop, Color::Grey),
            &[
                131, 131, 129, 129, 129, 129, 127, 126, 126, 126, 124, 124, 134, 134, 132, 132,
                132, 131, 131, 130, 130, 130, 128, 128, 135, 135, 135, 135, 135, 134, 134, 133,
                133, 132, 132, 132, 137, 137, 137, 137, 138, 138, 138, 137, 137, 137, 137, 137,
                139, 139, 139, 140, 141, 141, 141, 141, 142, 142, 142, 142, 141, 141, 141, 142,
                144, 144, 144, 144, 145, 146, 146, 147, 143, 144, 144, 145, 148, 149, 149, 149,
                150, 151, 151, 152, 145, 146, 147, 148, 150, 151, 151, 152, 154, 155, 155, 156,
                140, 140, 142, 143, 144, 145, 145, 146, 149, 150, 150, 151, 134, 134, 136, 137,
                138, 139, 139, 140, 142, 143, 143, 144, 129, 129, 131, 132, 133, 134, 134, 135,
                136, 137, 137, 138,
            ],
        ),
        (
            &high,
            fitting(4, 20, Fit::Stretch, Color::Grey),
            &[
                123, 118, 113, 107, 124, 120, 115, 109, 127, 123, 119, 115, 128, 126, 122, 120,
                130, 129, 125, 124, 132, 131, 129, 128, 134, 134, 132, 131, 136, 137, 136, 136,
                138, 140, 139, 140, 140, 143, 143, 144, 142, 145, 146, 148, 146, 149, 151, 154,
                145, 148, 152, 154, 139, 142, 145, 147, 134, 137, 139, 141, 130, 132, 134, 136,
                125, 127, 129, 131, 120, 122, 123, 125, 114, 116, 117, 118, 111, 112, 114, 115,
            ],
        ),
    ];
    for (picture, fitting, expected) in known {
        let image = fitting.apply(picture.clone()).unwrap();
        assert_eq!(image.len(), expected.len());
        let farthest = image
            .iter()
            .zip(expected)
            .map(|(a, b)| a.abs_diff(*b))
            .max();
        assert!(farthest <= Some(1), "{fitting:?}: {image:?}");
    }
}

/// Values of `Image.alpha_composite` of Pillow 13, where pixels of alpha 255, 128, 1 and 0 lie on
/// white.
#[test]
fn transparency_is_laid_on_the_background() {
    let alphas = [255, 128, 1, 0];
    let picture = RgbaImage::from_fn(4, 1, |x, _| Rgba([0, 100, 255, alphas[x as usize]]));
    let on = |background| {
        let fitting = Fitting {
            background,
            ..fitting(4, 1, Fit::Crop, Color::Rgb)
        };
        fitting.apply(picture.clone().into())
    };
    let white = [0, 127, 254, 255, 100, 177, 254, 255, 255, 255, 255, 255];
    assert_eq!(on(Some([255; 3])).unwrap(), white);
    let error = on(None).unwrap_err().to_string();
    assert_eq!(error, "parts of it are transparent; give a background");

    let opaque = RgbaImage::from_pixel(1, 1, Rgba([1, 2, 3, 255]));
    let fitting = Fitting {
        background: None,
        ..fitting(1, 1, Fit::Crop, Color::Rgb)
    };
    assert_eq!(fitting.apply(opaque.into()).unwrap(), [1, 2, 3]);
}

/// The middle is cut out or laid down if nothing is scaled, to the left and above where it cannot be
/// halved.
#[test]
fn pixels_that_are_not_scaled_stay() {
    let picture = GrayImage::from_fn(5, 2, |x, y| Luma([(10 * y + x) as u8]));
    let apply = |width, height, fit| {
        let fitting = fitting(width, height, fit, Color::Grey);
        fitting.apply(picture.clone().into()).unwrap()
    };
    assert_eq!(apply(2, 2, Fit::Crop), [1, 2, 11, 12]);
    let padded = [
        [8; 5],
        [0, 1, 2, 3, 4],
        [10, 11, 12, 13, 14],
        [8; 5],
        [8; 5],
    ];
    assert_eq!(apply(5, 5, Fit::Pad), padded.concat());
}

fn any_fitting() -> impl Strategy<Value = Fitting> {
    let color = prop_oneof![Just(Color::Grey), Just(Color::Rgb)];
    let fit = prop::sample::select(&FITS[..]);
    (1..40_usize, 1..40_usize, fit, color)
        .prop_map(|(width, height, fit, color)| fitting(width, height, fit, color))
}

/// The values of an image from right to left.
fn mirrored(image: &[u8], width: usize) -> Vec<u8> {
    let rows = image.chunks(width).map(|row| row.iter().rev());
    rows.flatten().copied().collect()
}

proptest! {
    #[test]
    fn a_picture_of_the_right_size_stays(fitting in any_fitting(), seed in any::<[u8; 16]>()) {
        let picture = RgbImage::from_fn(fitting.width as u32, fitting.height as u32, |x, y| {
            let value = |c: u32| seed[((x * 7 + y * 5 + c) % 16) as usize].wrapping_add(x as u8);
            Rgb([value(0), value(1), value(2)])
        });
        let fitting = Fitting { color: Color::Rgb, ..fitting };
        let planes = (0..3).map(|c| picture.pixels().map(move |pixel| pixel.0[c]));
        let planes = planes.flatten().collect::<Vec<_>>();
        prop_assert_eq!(fitting.apply(picture.clone().into()).unwrap(), planes);
    }

    #[test]
    fn a_constant_picture_stays_constant(
        fitting in any_fitting(), width in 1..60_u32, height in 1..60_u32, color: [u8; 3],
    ) {
        let apply = |width, height, fitting: Fitting| {
            let picture = RgbImage::from_pixel(width, height, Rgb(color));
            fitting.apply(picture.into()).unwrap()
        };
        let plain = apply(1, 1, Fitting { width: 1, height: 1, ..fitting });
        let pixels = fitting.width * fitting.height;
        let image = apply(width, height, fitting);
        prop_assert_eq!(image.len(), plain.len() * pixels);
        for (c, plane) in image.chunks(pixels).enumerate() {
            let behind = match fitting.color {
                Color::Grey => 8,
                Color::Rgb => [9, 8, 7][c],
            };
            let is_bar = |value: &u8| fitting.fit == Fit::Pad && *value == behind;
            prop_assert!(plane.iter().all(|value| *value == plain[c] || is_bar(value)));
            // The middle is never beside the picture.
            let middle = (fitting.height - 1) / 2 * fitting.width + (fitting.width - 1) / 2;
            prop_assert_eq!(plane[middle], plain[c]);
        }
    }

    #[test]
    fn a_symmetric_picture_stays_symmetric(
        fitting in any_fitting(), half in 1..30_u32, height in 1..60_u32,
    ) {
        let width = 2 * half;
        let noise = |x: u32, y: u32| (x.min(width - 1 - x) * 37 + y * 101) as u8;
        let picture = GrayImage::from_fn(width, height, |x, y| Luma([noise(x, y)]));
        // A picture of an even number of columns is in the middle only of such images.
        let fitting = Fitting {
            width: fitting.width.next_multiple_of(2),
            color: Color::Grey,
            fit: if fitting.fit == Fit::Pad { Fit::Stretch } else { fitting.fit },
            ..fitting
        };
        let image = fitting.apply(picture.into()).unwrap();
        let mirrored = mirrored(&image, fitting.width);
        prop_assert!(image.iter().zip(&mirrored).all(|(a, b)| a.abs_diff(*b) <= 1));
    }
}
