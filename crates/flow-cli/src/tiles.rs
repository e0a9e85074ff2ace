//! Many images as one picture without gaps, of which they can be cut again.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail, ensure};
use candle_core::{Device, Tensor};
use flow_glow::ImageShape;
use image::{ColorType, DynamicImage, ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};

/// Cuts a PNG into u8 images `[N, C, H, W]` of `shape`, row by row.
pub(crate) fn read(path: &Path, shape: ImageShape) -> Result<Tensor> {
    let cannot = || format!("cannot read `{}`", path.display());
    let bytes = fs::read(path).with_context(cannot)?;
    let picture = image::load_from_memory_with_format(&bytes, image::ImageFormat::Png);
    let picture = picture.map_err(anyhow::Error::from).with_context(cannot)?;
    cut(&picture, shape).with_context(cannot)
}

fn cut(picture: &DynamicImage, shape: ImageShape) -> Result<Tensor> {
    let ImageShape {
        channels: c,
        height: h,
        width: w,
    } = shape;
    let color = match c {
        1 => ColorType::L8,
        3 => ColorType::Rgb8,
        _ => bail!("a PNG has 1 channel or 3, the model's images have {c}"),
    };
    ensure!(
        picture.color() == color,
        "its pixels are {:?}, the model's are {color:?}",
        picture.color()
    );
    let (height, width) = (picture.height() as usize, picture.width() as usize);
    ensure!(
        height % h == 0 && width % w == 0,
        "its {height}×{width} pixels are no multiple of the model's {h}×{w}"
    );
    let (rows, columns) = (height / h, width / w);
    let pixels = Tensor::from_slice(
        picture.as_bytes(),
        &[rows, h, columns, w, c][..],
        &Device::Cpu,
    )?;
    let images = pixels
        .permute([0, 2, 4, 1, 3])?
        .reshape((rows * columns, c, h, w))?;
    Ok(images.contiguous()?)
}

/// u8 images `[N, C, H, W]` (C is 1 or 3) as a PNG: in rows that are all full, as square as that allows.
pub(crate) fn png(images: &Tensor) -> Result<Vec<u8>> {
    let (n, c, h, w) = images.dims4()?;
    let color = match c {
        1 => ExtendedColorType::L8,
        3 => ExtendedColorType::Rgb8,
        _ => bail!("images of {c} channels cannot be shown; write a safetensors file"),
    };
    let rows = (1..=n.isqrt())
        .rev()
        .find(|rows| n % rows == 0)
        .unwrap_or(1);
    let columns = n / rows;
    let pixels = images
        .reshape(&[rows, columns, c, h, w][..])?
        .permute([0, 3, 1, 4, 2])?
        .flatten_all()?
        .to_vec1::<u8>()?;
    let mut encoded = Vec::new();
    let encoder = PngEncoder::new(&mut encoded);
    encoder.write_image(&pixels, (columns * w) as u32, (rows * h) as u32, color)?;
    Ok(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_together_is_cut_again() {
        for (n, c) in [(1, 1), (7, 1), (12, 3)] {
            let values: Vec<u8> = (0..n * c * 6 * 4).map(|i| (i % 251) as u8).collect();
            let images = Tensor::from_vec(values, (n, c, 6, 4), &Device::Cpu).unwrap();
            let picture = image::load_from_memory(&png(&images).unwrap()).unwrap();
            let again = cut(&picture, ImageShape::new(c, 6, 4)).unwrap();
            assert_eq!(again.dims(), images.dims());
            let flat = |images: &Tensor| images.flatten_all().unwrap().to_vec1::<u8>().unwrap();
            assert_eq!(flat(&again), flat(&images));
            assert!(cut(&picture, ImageShape::new(c, 5, 4)).is_err());
            assert!(cut(&picture, ImageShape::new(4 - c, 6, 4)).is_err());
        }
    }
}
