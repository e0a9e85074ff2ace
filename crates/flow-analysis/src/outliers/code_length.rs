//! Lengths of images in a lossless code, which measure the simplicity of images.

use crate::{Error, Result};
use candle_core::Tensor;
use flate2::{Compression, write::DeflateEncoder};
use flow_glow::{GlowConfig, ImageShape};
use png::{BitDepth, ColorType, DeflateCompression, Encoder, Filter};
use rayon::prelude::*;
use std::io::Write;

/// A lossless compressor, at its highest level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compressor {
    /// A PNG file, for images of 1 or 3 channels. It predicts pixels from their neighbours.
    Png,
    /// Deflate, of the pixels channel by channel, row by row.
    Deflate,
    /// Zstandard, of the same.
    Zstd,
}

const FILTERS: [Filter; 6] = [
    Filter::NoFilter,
    Filter::Sub,
    Filter::Up,
    Filter::Avg,
    Filter::Paeth,
    Filter::Adaptive,
];

impl Compressor {
    /// A short name, in small letters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Deflate => "deflate",
            Self::Zstd => "zstd",
        }
    }
}

/// The length of the code of each of u8 images `[N, C, H, W]`, in bits per dimension. Of each
/// value, the `config.bits` that the model sees are compressed.
///
/// # Errors
/// If the compressor cannot take images of this shape.
pub fn code_lengths(
    compressor: Compressor,
    config: &GlowConfig,
    images: &Tensor,
) -> Result<Vec<f64>> {
    let (_, channels, height, width) = images.dims4()?;
    let shape = ImageShape::new(channels, height, width);
    let color = match (compressor, channels) {
        (_, 1) => ColorType::Grayscale,
        (_, 3) => ColorType::Rgb,
        (Compressor::Png, _) => {
            return Err(Error::Input(format!(
                "a PNG has 1 or 3 channels, these images have {channels}; choose another compressor"
            )));
        }
        _ => ColorType::Grayscale,
    };
    let mut values = match compressor {
        Compressor::Png => images.permute((0, 2, 3, 1))?,
        Compressor::Deflate | Compressor::Zstd => images.clone(),
    }
    .flatten_all()?
    .to_vec1::<u8>()?;
    for value in &mut values {
        *value >>= 8 - config.bits;
    }
    let bytes = |image: &[u8]| match compressor {
        Compressor::Png => png(image, shape, color),
        Compressor::Deflate => deflate(image),
        Compressor::Zstd => zstd(image),
    };
    let bits = |image: &[u8]| (8 * bytes(image)) as f64 / image.len() as f64;
    Ok(values
        .par_chunks_exact(shape.dimensions())
        .map(bits)
        .collect())
}

/// The shortest of the files that the filters give.
fn png(image: &[u8], shape: ImageShape, color: ColorType) -> usize {
    let length = |filter| {
        let mut code = Vec::new();
        let mut encoder = Encoder::new(&mut code, shape.width as u32, shape.height as u32);
        encoder.set_color(color);
        encoder.set_depth(BitDepth::Eight);
        encoder.set_filter(filter);
        encoder.set_deflate_compression(DeflateCompression::Level(9));
        encoder
            .write_header()
            .and_then(|mut writer| writer.write_image_data(image))
            .expect("the size is the image's, and memory takes what is written");
        code.len()
    };
    let lengths = FILTERS.into_iter().map(length);
    lengths.min().expect("there are filters")
}

fn deflate(image: &[u8]) -> usize {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    let code = encoder.write_all(image).and_then(|()| encoder.finish());
    code.expect("memory takes what is written").len()
}

fn zstd(image: &[u8]) -> usize {
    let code = zstd::bulk::compress(image, 19);
    code.expect("the level is one, and memory takes what is written")
        .len()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use candle_core::Device;

    const ALL: [Compressor; 3] = [Compressor::Png, Compressor::Deflate, Compressor::Zstd];

    fn noise(channels: usize) -> Tensor {
        let noise = flow_core::random::uniform(
            1,
            (1, channels, 16, 16),
            candle_core::DType::F64,
            &Device::Cpu,
        );
        (noise.unwrap() * 256.0)
            .unwrap()
            .to_dtype(candle_core::DType::U8)
            .unwrap()
    }

    #[test]
    fn noise_takes_its_bits_and_a_plain_image_few() {
        for channels in [1, 3] {
            let noise = noise(channels);
            let images = Tensor::cat(&[&noise, &noise.zeros_like().unwrap()], 0).unwrap();
            for bits in [8, 4] {
                let config = GlowConfig {
                    bits,
                    ..GlowConfig::small(ImageShape::new(channels, 16, 16))
                };
                for compressor in ALL {
                    let lengths = code_lengths(compressor, &config, &images).unwrap();
                    let frame = 8.0 * 80.0 / (channels * 256) as f64;
                    let bits = f64::from(bits);
                    assert!(
                        lengths[0] >= bits && lengths[0] < bits * 1.15 + frame,
                        "{compressor:?} {lengths:?}"
                    );
                    assert!(lengths[1] < 1.0 + frame, "{compressor:?} {lengths:?}");
                }
            }
        }
    }

    #[test]
    fn what_png_cannot_hold_is_refused() {
        let config = GlowConfig::small(ImageShape::new(2, 16, 16));
        let images = noise(2);
        assert!(code_lengths(Compressor::Png, &config, &images).is_err());
        assert!(code_lengths(Compressor::Zstd, &config, &images).is_ok());
    }
}
