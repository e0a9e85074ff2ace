//! Many small images as one picture.

use anyhow::{Result, bail};
use candle_core::{Device, Tensor};
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};

/// Images are enlarged by a whole number to about this many pixels a side, so that people can see
/// them.
const SIDE: usize = 112;

/// The picture is kept to about this many pixels a side if that takes no shrinking.
const PICTURE: usize = 4096;

/// Between images and around them, in pixels.
const GAP: usize = 4;

/// Lighter than the background of digits, darker than that of most photographs.
const GAP_VALUE: u8 = 96;

/// Encodes u8 images `[N, C, H, W]` (C is 1 or 3) as one PNG: a square grid, row by row.
pub(crate) fn png(images: &Tensor) -> Result<Vec<u8>> {
    let (n, c, h, w) = images.dims4()?;
    let color = match c {
        1 => ExtendedColorType::L8,
        3 => ExtendedColorType::Rgb8,
        _ => bail!("images of {c} channels cannot be shown; 1 or 3 are needed"),
    };
    let columns = columns(n);
    let scale = (SIDE / h.max(w)).clamp(1, (PICTURE / (columns * h.max(w))).max(1));
    let (tile_h, tile_w) = (h * scale + GAP, w * scale + GAP);
    let (height, width) = (columns * tile_h + GAP, columns * tile_w + GAP);

    let pixels = images
        .permute((0, 2, 3, 1))?
        .to_device(&Device::Cpu)?
        .flatten_all()?
        .to_vec1::<u8>()?;
    let mut picture = vec![GAP_VALUE; height * width * c];
    for (i, image) in pixels.chunks_exact(h * w * c).enumerate() {
        let (top, left) = (GAP + i / columns * tile_h, GAP + i % columns * tile_w);
        for y in 0..h * scale {
            let row = &image[y / scale * w * c..][..w * c];
            let start = ((top + y) * width + left) * c;
            let target = &mut picture[start..][..w * scale * c];
            for (enlarged, pixel) in target.chunks_exact_mut(scale * c).zip(row.chunks_exact(c)) {
                for copy in enlarged.chunks_exact_mut(c) {
                    copy.copy_from_slice(pixel);
                }
            }
        }
    }

    let mut encoded = Vec::new();
    PngEncoder::new(&mut encoded).write_image(&picture, width as u32, height as u32, color)?;
    Ok(encoded)
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
        let picture = decode(&png(&images).unwrap()).to_luma8();
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
    fn colors_keep_their_channels() {
        let image = Tensor::from_vec(vec![10u8, 20, 30], (1, 3, 1, 1), &Device::Cpu).unwrap();
        let picture = decode(&png(&image).unwrap()).to_rgb8();
        assert_eq!(picture.get_pixel(10, 10).0, [10, 20, 30]);
    }

    #[test]
    fn two_channels_are_an_error() {
        let images = Tensor::zeros((1, 2, 4, 4), DType::U8, &Device::Cpu).unwrap();
        let error = png(&images).unwrap_err();
        assert!(error.to_string().contains("2 channels"));
    }
}
