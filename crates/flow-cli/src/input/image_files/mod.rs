//! Image files and folders of them, as images that a model takes.

mod folder;
mod picture;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use candle_core::{Device, Tensor};
use flow_glow::ImageShape;
use rayon::prelude::*;

pub(crate) use picture::{has_extension, open, values};

/// Images of named files and of all files in named folders.
pub(crate) struct Found {
    /// The files that were read.
    pub(crate) files: Vec<PathBuf>,
    /// Their u8 images `[N, C, H, W]`, one of each file.
    pub(crate) images: Tensor,
    /// The number of unreadable files; a warning has named each.
    pub(crate) unread: usize,
}

/// Reads the image [`files`] at `paths`. Warns of each unreadable file and goes on.
///
/// # Errors
/// If a folder holds no image file, or no file can be read.
pub(crate) fn find(paths: &[PathBuf], shape: ImageShape) -> Result<Found> {
    check_channels(shape)?;
    let candidates = files(paths)?;
    let read = |candidate: Result<PathBuf>| {
        let file = candidate?;
        let pixels = pixels(&file, shape)?;
        Ok((file, pixels))
    };
    let results = candidates.into_par_iter().map(read);
    let results = results.collect::<Vec<Result<_>>>();
    let total = results.len();
    let (mut files, mut images) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok((file, pixels)) => {
                files.push(file);
                images.push(pixels);
            }
            Err(error) if total == 1 => return Err(error),
            Err(error) => tracing::warn!("{error:#}"),
        }
    }
    if files.is_empty() {
        bail!("none of the {total} image files can be read");
    }
    Ok(Found {
        unread: total - files.len(),
        images: stack(&images, shape)?,
        files,
    })
}

/// The files that `paths` mean: a file is itself, a folder all image files below it, by name.
///
/// # Errors
/// If a folder holds no image file.
pub(crate) fn files(paths: &[PathBuf]) -> Result<Vec<Result<PathBuf>>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(folder::image_files(path)?);
        } else {
            files.push(Ok(path.clone()));
        }
    }
    Ok(files)
}

/// Reads a picture of any size as a u8 image `[1, C, H, W]`, of one channel if it is grey.
pub(crate) fn read_any(path: &Path) -> Result<Tensor> {
    let picture = open(path, |_, _| Ok(()));
    let picture = picture.with_context(|| format!("cannot read `{}`", path.display()))?;
    let channels = if picture.color().has_color() { 3 } else { 1 };
    let shape = ImageShape::new(
        channels,
        picture.height() as usize,
        picture.width() as usize,
    );
    stack(&[values(picture, channels)], shape)
}

/// Reads `files` as u8 images `[N, C, H, W]` of `shape`, where C is 1 or 3: colors become grey or
/// grey becomes colors, whichever it takes. All are read, or it is an error.
pub(crate) fn read(files: &[PathBuf], shape: ImageShape) -> Result<Tensor> {
    check_channels(shape)?;
    let images = files.par_iter().map(|file| pixels(file, shape));
    stack(&images.collect::<Result<Vec<_>>>()?, shape)
}

/// Checks that image files can hold images of this shape.
pub(crate) fn check_channels(shape: ImageShape) -> Result<()> {
    ensure!(
        [1, 3].contains(&shape.channels),
        "the model takes images of {} channels, and image files have 1 or 3",
        shape.channels
    );
    Ok(())
}

/// The pixels of a file, row by row, the channels of a pixel side by side.
fn pixels(path: &Path, shape: ImageShape) -> Result<Vec<u8>> {
    let fits = |width: u32, height: u32| {
        ensure!(
            (height as usize, width as usize) == (shape.height, shape.width),
            "it is {width}×{height} pixels, the model takes {}×{}; resize it first",
            shape.width,
            shape.height
        );
        Ok(())
    };
    let picture = open(path, fits).with_context(|| format!("cannot read `{}`", path.display()))?;
    Ok(values(picture, shape.channels))
}

fn stack(images: &[Vec<u8>], shape: ImageShape) -> Result<Tensor> {
    let dimensions = (images.len(), shape.height, shape.width, shape.channels);
    let images = Tensor::from_vec(images.concat(), dimensions, &Device::Cpu)?;
    Ok(images.permute((0, 3, 1, 2))?.contiguous()?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use image::{GrayImage, ImageFormat, RgbImage, RgbaImage};

    use super::*;

    fn values(images: &Tensor) -> Vec<u8> {
        images.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn files_become_images_of_the_model() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let grey = GrayImage::from_fn(3, 2, |x, y| image::Luma([(10 * y + x) as u8]));
        grey.save(path("b.png")).unwrap();
        let color = RgbImage::from_fn(3, 2, |x, y| image::Rgb([x as u8, y as u8, 200]));
        color.save(path("a.PNG")).unwrap();
        RgbImage::from_fn(3, 2, |x, y| image::Rgb([(10 * y + x) as u8; 3]))
            .save(path("c.png"))
            .unwrap();
        fs::write(path("notes.txt"), "no image").unwrap();

        let paths = [folder.path().to_owned(), path("b.png")];
        let found = find(&paths, ImageShape::new(3, 2, 3)).unwrap();
        let names: Vec<_> = found
            .files
            .iter()
            .map(|file| file.file_name().unwrap().to_str().unwrap())
            .collect();
        assert_eq!(names, ["a.PNG", "b.png", "c.png", "b.png"]);

        let images = found.images;
        assert_eq!(images.dims(), [4, 3, 2, 3]);
        let first = [
            0, 1, 2, 0, 1, 2, 0, 0, 0, 1, 1, 1, 200, 200, 200, 200, 200, 200,
        ];
        assert_eq!(values(&images.get(0).unwrap()), first);
        assert_eq!(
            values(&images.get(1).unwrap()),
            [0, 1, 2, 10, 11, 12].repeat(3)
        );

        let images = read(&found.files[1..], ImageShape::new(1, 2, 3)).unwrap();
        assert_eq!(images.dims(), [3, 1, 2, 3]);
        assert_eq!(values(&images), [0, 1, 2, 10, 11, 12].repeat(3));
    }

    #[test]
    fn photographs_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.JPEG");
        let plain = RgbImage::from_pixel(16, 8, image::Rgb([200, 100, 50]));
        plain.save_with_format(&path, ImageFormat::Jpeg).unwrap();
        let found = find(&[folder.path().to_owned()], ImageShape::new(3, 8, 16));
        let images = found.unwrap().images;
        let expected = [[200; 128], [100; 128], [50; 128]].concat();
        let near = |(a, b): (u8, u8)| a.abs_diff(b) <= 4;
        assert!(values(&images).into_iter().zip(expected).all(near));
    }

    /// Whatever a file holds, it is an image or an error.
    #[test]
    fn damaged_files_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let shape = ImageShape::new(3, 16, 16);
        let picture = RgbImage::from_fn(16, 16, |x, y| {
            image::Rgb([(x * 16) as u8, (y * 16) as u8, (x ^ y) as u8])
        });
        let mut refused = 0;
        for format in [ImageFormat::Png, ImageFormat::Jpeg] {
            let path = folder.path().join("image");
            picture.save_with_format(&path, format).unwrap();
            let good = fs::read(&path).unwrap();
            assert!(read(std::slice::from_ref(&path), shape).is_ok());
            let draws =
                flow_core::random::uniform(7, (1000, 3), candle_core::DType::F64, &Device::Cpu);
            for draw in draws.unwrap().to_vec2::<f64>().unwrap() {
                let mut bytes = good.clone();
                let at = (draw[0] * good.len() as f64) as usize;
                bytes[at] = (draw[1] * 256.0) as u8;
                if draw[2] < 0.3 {
                    bytes.truncate(at);
                }
                fs::write(&path, bytes).unwrap();
                refused += usize::from(read(std::slice::from_ref(&path), shape).is_err());
            }
        }
        assert!((600..2000).contains(&refused), "{refused} of 2000");
    }

    #[test]
    fn opaque_is_not_transparent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let shape = ImageShape::new(3, 2, 2);
        for (alpha, fits) in [(255, true), (254, false)] {
            let image = RgbaImage::from_fn(2, 2, |x, _| {
                image::Rgba([1, 2, 3, if x == 1 { alpha } else { 255 }])
            });
            image.save(&path).unwrap();
            assert_eq!(read(std::slice::from_ref(&path), shape).is_ok(), fits);
        }
    }
}
