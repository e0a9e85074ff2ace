//! Image files and folders of them, as images that a model takes.

use std::{
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
};

use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use candle_core::{Device, Tensor};
use flow_glow::ImageShape;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};
use rayon::prelude::*;

/// How the names of image files end, in small letters.
const EXTENSIONS: [&str; 3] = ["jpeg", "jpg", "png"];

/// What a decoder may take beside the pixels, such as for color profiles.
const MAX_MEMORY: u64 = 1 << 26;

/// The image files that are meant by `paths`: a file is itself, a folder the image files that lie directly in
/// it, by name.
pub(crate) fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(in_folder(path)?);
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

/// Reads `files` as u8 images `[N, C, H, W]` of `shape`, where C is 1 or 3: colors become grey or grey becomes
/// colors, whichever it takes. All are read, or it is an error.
pub(crate) fn read(files: &[PathBuf], shape: ImageShape) -> Result<Tensor> {
    ensure!(
        [1, 3].contains(&shape.channels),
        "the model takes images of {} channels, and image files have 1 or 3",
        shape.channels
    );
    let images = files
        .par_iter()
        .map(|file| {
            pixels(file, shape).with_context(|| format!("cannot read `{}`", file.display()))
        })
        .collect::<Result<Vec<_>>>()?;
    let dimensions = (images.len(), shape.height, shape.width, shape.channels);
    let images = Tensor::from_vec(images.concat(), dimensions, &Device::Cpu)?;
    Ok(images.permute((0, 3, 1, 2))?.contiguous()?)
}

fn in_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    let cannot = || format!("cannot read the folder `{}`", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        let extension = extension.map(str::to_ascii_lowercase);
        if extension.is_some_and(|extension| EXTENSIONS.contains(&&*extension)) {
            files.push(path);
        }
    }
    ensure!(
        !files.is_empty(),
        "the folder `{}` holds no image files (PNG or JPEG)",
        folder.display()
    );
    files.sort();
    Ok(files)
}

/// The pixels of a file, row by row, the channels of a pixel side by side.
fn pixels(path: &Path, shape: ImageShape) -> Result<Vec<u8>> {
    // A pipe or a device might never end.
    ensure!(fs::metadata(path)?.is_file(), "it is no file");
    let mut reader = ImageReader::new(BufReader::new(File::open(path)?)).with_guessed_format()?;
    ensure!(
        matches!(reader.format(), Some(ImageFormat::Png | ImageFormat::Jpeg)),
        "it is neither PNG nor JPEG"
    );
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_MEMORY);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(reason)?;
    let (width, height) = decoder.dimensions();
    if (height as usize, width as usize) != (shape.height, shape.width) {
        bail!(
            "it is {width}×{height} pixels, the model takes {}×{}; resize it first",
            shape.width,
            shape.height
        );
    }
    let picture = DynamicImage::from_decoder(decoder).map_err(reason)?;
    if picture.color().has_alpha() {
        let opaque = picture
            .to_rgba16()
            .pixels()
            .all(|pixel| pixel.0[3] == u16::MAX);
        ensure!(opaque, "parts of it are transparent");
    }
    Ok(match shape.channels {
        1 => picture.into_luma8().into_raw(),
        _ => picture.into_rgb8().into_raw(),
    })
}

/// Why a decoder gave up, without its inner workings.
fn reason(error: ImageError) -> Error {
    match error {
        ImageError::IoError(error) => error.into(),
        ImageError::Limits(_) => anyhow!("it takes more memory than an image of its size should"),
        ImageError::Unsupported(_) => {
            anyhow!("it is of an unusual kind; save it as an ordinary PNG")
        }
        _ => anyhow!("it is damaged"),
    }
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, RgbImage, RgbaImage};

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

        let files = find(&[folder.path().to_owned(), path("b.png")]).unwrap();
        let names: Vec<_> = files
            .iter()
            .map(|file| file.file_name().unwrap().to_str().unwrap())
            .collect();
        assert_eq!(names, ["a.PNG", "b.png", "c.png", "b.png"]);

        let images = read(&files, ImageShape::new(3, 2, 3)).unwrap();
        assert_eq!(images.dims(), [4, 3, 2, 3]);
        let first = [
            0, 1, 2, 0, 1, 2, 0, 0, 0, 1, 1, 1, 200, 200, 200, 200, 200, 200,
        ];
        assert_eq!(values(&images.get(0).unwrap()), first);
        assert_eq!(
            values(&images.get(1).unwrap()),
            [0, 1, 2, 10, 11, 12].repeat(3)
        );

        let images = read(&files[1..], ImageShape::new(1, 2, 3)).unwrap();
        assert_eq!(images.dims(), [3, 1, 2, 3]);
        assert_eq!(values(&images), [0, 1, 2, 10, 11, 12].repeat(3));
    }

    #[test]
    fn photographs_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.JPEG");
        let plain = RgbImage::from_pixel(16, 8, image::Rgb([200, 100, 50]));
        plain.save_with_format(&path, ImageFormat::Jpeg).unwrap();
        let files = find(&[folder.path().to_owned()]).unwrap();
        let images = read(&files, ImageShape::new(3, 8, 16)).unwrap();
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
