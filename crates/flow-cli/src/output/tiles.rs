//! Many images as one picture without gaps, from which they can be cut again.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use candle_core::Tensor;
use flow_glow::ImageShape;
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};

use crate::input::{data, image_files};

/// Cuts the picture in a file of any format into u8 images `[N, C, H, W]` of `shape`, row by row.
pub(crate) fn read(path: &Path, shape: ImageShape) -> Result<Tensor> {
    let picture = image_files::read_any(path, Some(data::color(shape)?))?;
    cut(&picture, shape).with_context(|| format!("cannot use `{}`", path.display()))
}

fn cut(picture: &Tensor, shape: ImageShape) -> Result<Tensor> {
    let (_, c, height, width) = picture.dims4()?;
    let (h, w) = (shape.height, shape.width);
    ensure!(
        height.is_multiple_of(h) && width.is_multiple_of(w),
        "its {width}×{height} pixels are no multiple of the model's {w}×{h}"
    );
    let (rows, columns) = (height / h, width / w);
    let images = picture
        .reshape(&[c, rows, h, columns, w][..])?
        .permute([1, 3, 0, 2, 4])?
        .reshape((rows * columns, c, h, w))?;
    Ok(images.contiguous()?)
}

/// u8 images `[N, C, H, W]` (C is 1 or 3) as a PNG: in rows that are all full, as square as that
/// allows.
pub(crate) fn png(images: &Tensor) -> Result<Vec<u8>> {
    let (n, c, h, w) = images.dims4()?;
    let color = match c {
        1 => ExtendedColorType::L8,
        3 => ExtendedColorType::Rgb8,
        _ => bail!("images of {c} channels cannot be shown; write a file of tensors"),
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
    use candle_core::Device;

    use super::*;

    #[test]
    fn what_is_put_together_is_cut_again() {
        for (n, c) in [(1, 1), (7, 1), (12, 3)] {
            let values: Vec<u8> = (0..n * c * 6 * 4).map(|i| (i % 251) as u8).collect();
            let images = Tensor::from_vec(values, (n, c, 6, 4), &Device::Cpu).unwrap();
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("tiles.png");
            std::fs::write(&path, png(&images).unwrap()).unwrap();
            let again = read(&path, ImageShape::new(c, 6, 4)).unwrap();
            assert_eq!(again.dims(), images.dims());
            let flat = |images: &Tensor| images.flatten_all().unwrap().to_vec1::<u8>().unwrap();
            assert_eq!(flat(&again), flat(&images));
            assert!(read(&path, ImageShape::new(c, 5, 4)).is_err());
        }
    }
}
