//! The bits of pixels in colors.

use anyhow::Result;
use candle_core::{Device, Tensor};
use flow_glow::ImageShape;
use image::DynamicImage;

use super::image_grid;

/// Colors from few bits to many, at equal distances; those of viridis, whose lightness grows evenly.
const COLORS: [[f64; 3]; 5] = [
    [68.0, 1.0, 84.0],
    [59.0, 82.0, 139.0],
    [33.0, 145.0, 140.0],
    [94.0, 201.0, 98.0],
    [253.0, 231.0, 37.0],
];

/// The fewest and the most bits of the pixels of all maps; those that are not finite are left out.
pub(crate) fn range(maps: &[Vec<f64>]) -> [f64; 2] {
    let bits = maps.iter().flatten().copied();
    let bits = bits.filter(|bits| bits.is_finite());
    let (low, high) = bits.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), bits| {
        (low.min(bits), high.max(bits))
    });
    [low, high]
}

/// A grid of maps, each the bits of the pixels of an image, row by row.
pub(crate) fn picture(maps: &[Vec<f64>], image: ImageShape) -> Result<DynamicImage> {
    let [low, high] = range(maps);
    let channel = |map: &[f64], channel: usize| {
        let bits = map.iter();
        let shares = bits.map(|bits| (bits - low) / (high - low).max(f64::MIN_POSITIVE));
        let values = shares.map(|share| color(share)[channel]);
        values.collect::<Vec<_>>()
    };
    let pixels = maps
        .iter()
        .flat_map(|map| (0..3).map(|of| channel(map, of)));
    let pixels = pixels.flatten().collect::<Vec<u8>>();
    let shape = (maps.len(), 3, image.height, image.width);
    image_grid::square(&Tensor::from_vec(pixels, shape, &Device::Cpu)?)
}

/// The color at a share of the range; black where it is not finite.
fn color(share: f64) -> [u8; 3] {
    if !share.is_finite() {
        return [0; 3];
    }
    let place = share.clamp(0.0, 1.0) * (COLORS.len() - 1) as f64;
    let before = (place as usize).min(COLORS.len() - 2);
    let beyond = place - before as f64;
    std::array::from_fn(|i| {
        let (a, b) = (COLORS[before][i], COLORS[before + 1][i]);
        (a + (b - a) * beyond).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_bits_are_bright() {
        let map = vec![0.0, 1.0, f64::NAN, 0.5];
        let found = range(std::slice::from_ref(&map));
        assert_eq!(found.map(f64::to_bits), [0.0, 1.0].map(f64::to_bits));
        let picture = picture(&[map], ImageShape::new(1, 2, 2)).unwrap().to_rgb8();
        assert_eq!(picture.get_pixel(5, 5).0, [68, 1, 84]);
        assert_eq!(picture.get_pixel(4 + 56, 5).0, [253, 231, 37]);
        assert_eq!(picture.get_pixel(5, 4 + 56).0, [0, 0, 0]);
        assert_eq!(picture.get_pixel(4 + 56, 4 + 56).0, [33, 145, 140]);
        assert!(super::picture(&[vec![2.0; 4]], ImageShape::new(1, 2, 2)).is_ok());
    }
}
