//! Many small images as one picture.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use candle_core::{Device, Tensor};
use image::{
    Delay, DynamicImage, Frame, GrayImage, RgbImage,
    codecs::gif::{GifEncoder, Repeat},
};

/// Images are enlarged by a whole number to about this many pixels a side, so that people can see
/// them.
const SIDE: usize = 112;

/// The picture has at most about this many pixels a side, unless its images would shrink.
const PICTURE: usize = 4096;

/// Between images and around them, in pixels.
const GAP: usize = 4;

/// Lighter than the background of digits, darker than that of most photographs.
pub(crate) const GAP_VALUE: u8 = 96;

/// u8 images `[N, C, H, W]` (C is 1 or 3) in a square grid, row by row.
pub(crate) fn square(images: &Tensor) -> Result<DynamicImage> {
    let columns = columns(images.dim(0)?);
    paint(images, columns, columns)
}

/// As [`square`], in rows of `columns` images.
pub(crate) fn rows(images: &Tensor, columns: usize) -> Result<DynamicImage> {
    paint(images, images.dim(0)?.div_ceil(columns), columns)
}

/// Encodes grids of u8 images, `[N, C, H, W]` each, as one GIF that begins again at its end, a
/// frame each `interval`.
pub(crate) fn gif(
    frames: impl Iterator<Item = Result<Tensor>>,
    interval: Duration,
) -> Result<Vec<u8>> {
    gif_of_pictures(frames.map(|images| square(&images?)), interval)
}

/// As [`gif`], of pictures.
pub(crate) fn gif_of_pictures(
    pictures: impl Iterator<Item = Result<DynamicImage>>,
    interval: Duration,
) -> Result<Vec<u8>> {
    let mut encoded = Vec::new();
    let mut encoder = GifEncoder::new(&mut encoded);
    encoder.set_repeat(Repeat::Infinite)?;
    for picture in pictures {
        let delay = Delay::from_saturating_duration(interval);
        encoder.encode_frame(Frame::from_parts(picture?.into_rgba8(), 0, 0, delay))?;
    }
    drop(encoder);
    Ok(encoded)
}

fn paint(images: &Tensor, rows: usize, columns: usize) -> Result<DynamicImage> {
    let (_, c, h, w) = images.dims4()?;
    ensure!(
        [1, 3].contains(&c),
        "images of {c} channels cannot be shown; 1 or 3 are needed"
    );
    let most = rows.max(columns) * h.max(w);
    let scale = (SIDE / h.max(w)).clamp(1, (PICTURE / most).max(1));
    let (tile_h, tile_w) = (h * scale + GAP, w * scale + GAP);
    let (height, width) = (rows * tile_h + GAP, columns * tile_w + GAP);

    let bytes = images
        .permute((0, 2, 3, 1))?
        .to_device(&Device::Cpu)?
        .flatten_all()?
        .to_vec1::<u8>()?;
    let mut pixels = vec![GAP_VALUE; height * width * c];
    for (i, image) in bytes.chunks_exact(h * w * c).enumerate() {
        let (top, left) = (GAP + i / columns * tile_h, GAP + i % columns * tile_w);
        for y in 0..h * scale {
            let row = &image[y / scale * w * c..][..w * c];
            let start = ((top + y) * width + left) * c;
            let target = &mut pixels[start..][..w * scale * c];
            for (enlarged, pixel) in target.chunks_exact_mut(scale * c).zip(row.chunks_exact(c)) {
                for copy in enlarged.chunks_exact_mut(c) {
                    copy.copy_from_slice(pixel);
                }
            }
        }
    }
    let (width, height) = (width as u32, height as u32);
    let picture = if c == 1 {
        GrayImage::from_raw(width, height, pixels).map(DynamicImage::from)
    } else {
        RgbImage::from_raw(width, height, pixels).map(DynamicImage::from)
    };
    picture.context("a picture has as many pixels as its size says")
}

/// The smallest square that holds `count` images has this many a side.
fn columns(count: usize) -> usize {
    let floor = count.isqrt();
    if floor * floor == count {
        floor
    } else {
        floor + 1
    }
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::*;

    fn decode(bytes: &[u8]) -> image::DynamicImage {
        image::load_from_memory(bytes).unwrap()
    }

    #[test]
    fn every_pixel_lands_in_its_tile() {
        let (n, h, w) = (7, 28, 28);
        let values = (0..n * h * w).map(|i| (i % 251) as u8).collect::<Vec<_>>();
        let images = Tensor::from_vec(values.clone(), (n, 1, h, w), &Device::Cpu).unwrap();
        let picture = square(&images).unwrap().to_luma8();
        assert_eq!(picture.dimensions(), (3 * 116 + 4, 3 * 116 + 4));
        for (i, value) in values.iter().enumerate() {
            let (image, y, x) = (i / (h * w), i / w % h, i % w);
            let left = GAP + image % 3 * 116 + x * 4;
            let top = GAP + image / 3 * 116 + y * 4;
            for (dy, dx) in [(0, 0), (3, 3)] {
                let [seen] = picture.get_pixel((left + dx) as u32, (top + dy) as u32).0;
                assert_eq!(seen, *value, "image {image}, row {y}, column {x}");
            }
        }
        assert_eq!(picture.get_pixel(351, 351).0, [GAP_VALUE]);
        assert_eq!(picture.get_pixel(200, 300).0, [GAP_VALUE], "an empty tile");
    }

    #[test]
    fn rows_are_as_long_as_asked_and_frames_keep_their_pixels() {
        let images = Tensor::arange(0u8, 6 * 16, &Device::Cpu).unwrap();
        let images = images.reshape((6, 1, 4, 4)).unwrap();
        let rows = super::rows(&images, 3).unwrap().to_luma8();
        assert_eq!(rows.dimensions(), (3 * 116 + 4, 2 * 116 + 4));
        assert_eq!(rows.get_pixel(4, 120).0, [48]);

        let frames = (0..2).map(|i| Ok(images.narrow(0, i * 3, 3)?));
        let encoded = gif(frames, Duration::from_millis(80)).unwrap();
        let decoder = image::codecs::gif::GifDecoder::new(std::io::Cursor::new(encoded)).unwrap();
        let frames = image::AnimationDecoder::into_frames(decoder);
        let frames = frames.collect_frames().unwrap();
        assert_eq!(frames.len(), 2);
        for (frame, first) in frames.iter().zip([0, 48]) {
            assert_eq!(frame.delay().numer_denom_ms(), (80, 1));
            let corners = [(4, 4, 0), (120, 4, 16), (4, 120, 32)];
            for (x, y, offset) in corners {
                let value = first + offset;
                assert_eq!(frame.buffer().get_pixel(x, y).0, [value, value, value, 255]);
            }
        }
    }

    #[test]
    fn colors_keep_their_channels() {
        let image = Tensor::from_vec(vec![10u8, 20, 30], (1, 3, 1, 1), &Device::Cpu).unwrap();
        let picture = square(&image).unwrap().to_rgb8();
        assert_eq!(picture.get_pixel(10, 10).0, [10, 20, 30]);
        let frames = std::iter::once(Ok(image));
        let picture = decode(&gif(frames, Duration::from_millis(80)).unwrap()).to_rgb8();
        assert_eq!(picture.get_pixel(10, 10).0, [10, 20, 30]);
    }

    #[test]
    fn two_channels_are_an_error() {
        let images = Tensor::zeros((1, 2, 4, 4), DType::U8, &Device::Cpu).unwrap();
        let error = square(&images).unwrap_err();
        assert!(error.to_string().contains("2 channels"));
    }
}
