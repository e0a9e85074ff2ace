//! Picture files and folders of them, as images that a model takes.

mod folder;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use candle_core::Tensor;
use flow_data::{
    Dataset,
    picture::{self, Color, Fit, Fitting},
};
use flow_glow::{Header, ImageShape};
use image::DynamicImage;
use rayon::prelude::*;

use super::{data, data_record::DataRecord};

/// Images of named files and of all files in named folders.
pub(crate) struct Found {
    /// The files that were read.
    pub(crate) files: Vec<PathBuf>,
    /// Their u8 images `[N, C, H, W]`, one of each file.
    pub(crate) images: Tensor,
    /// The number of unreadable files; a warning has named each.
    pub(crate) unread: usize,
}

/// Reader of picture files for a model: fits them as its training data were fitted.
pub(crate) struct PictureReader {
    fitting: Fitting,
    /// Pictures of another size are scaled rather than refused.
    scales: bool,
    image: ImageShape,
    levels: usize,
}

impl PictureReader {
    /// A reader for the model of a header, which does as options say, and as the training data were
    /// fitted where they say nothing. Without either, pictures have the size of images and are
    /// opaque.
    ///
    /// # Errors
    /// If pictures cannot hold images of the model.
    pub(crate) fn of(
        header: &Header,
        fit: Option<Fit>,
        background: Option<[u8; 3]>,
    ) -> Result<Self> {
        let image = header.model.image;
        let known = DataRecord::read(&header.data)?.and_then(|record| record.fitting);
        let fallback = Fitting {
            height: image.height,
            width: image.width,
            fit: Fit::default(),
            color: data::color(image)?,
            background: None,
        };
        let fitting = known.unwrap_or(fallback);
        Ok(Self {
            fitting: Fitting {
                fit: fit.unwrap_or(fitting.fit),
                background: background.or(fitting.background),
                ..fitting
            },
            scales: known.is_some() || fit.is_some(),
            image,
            levels: header.model.levels,
        })
    }

    /// As [`of`](Self::of), but scales pictures of another size in any case: by cropping, unless
    /// options or the training data say otherwise.
    ///
    /// # Errors
    /// If pictures cannot hold images of the model.
    pub(crate) fn scaling(
        header: &Header,
        fit: Option<Fit>,
        background: Option<[u8; 3]>,
    ) -> Result<Self> {
        Ok(Self {
            scales: true,
            ..Self::of(header, fit, background)?
        })
    }

    /// The u8 image `[1, C, H, W]` of the content of a picture file.
    pub(crate) fn image(&self, content: &[u8]) -> Result<Tensor> {
        self.stack(&[self.fitted(content)?])
    }

    /// Reads the image [`files`] at `paths`. Warns of each unreadable file and goes on.
    ///
    /// # Errors
    /// If a folder holds no image file, or no file can be read.
    pub(crate) fn find(&self, paths: &[PathBuf]) -> Result<Found> {
        let candidates = files(paths)?;
        let read = |candidate: Result<PathBuf>| {
            let file = candidate?;
            let pixels = self.pixels(&file)?;
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
            images: self.stack(&images)?,
            files,
        })
    }

    /// Reads the image [`files`] at `paths` as u8 images `[N, C, H, W]`. All are read, or it is an
    /// error.
    pub(crate) fn read(&self, paths: &[PathBuf]) -> Result<Tensor> {
        let files = files(paths)?.into_par_iter();
        let images = files.map(|file| self.pixels(&file?));
        self.stack(&images.collect::<Result<Vec<_>>>()?)
    }

    /// The pixels `[C, H, W]` of a file.
    fn pixels(&self, path: &Path) -> Result<Vec<u8>> {
        let read = || self.fitted(&picture::read(path)?);
        read().with_context(|| cannot_read(path))
    }

    /// The pixels `[C, H, W]` of the content of a file.
    fn fitted(&self, content: &[u8]) -> Result<Vec<u8>> {
        let picture = picture::decode(content)?;
        let (width, height) = (picture.width(), picture.height());
        let fits = (height as usize, width as usize) == (self.fitting.height, self.fitting.width);
        ensure!(
            fits || self.scales,
            "it is {width}×{height} pixels, the model takes {}×{}; scale it by `--fit crop`, pad or \
             stretch",
            self.fitting.width,
            self.fitting.height
        );
        Ok(self.fitting.apply(picture)?)
    }

    /// u8 images `[N, C, H, W]` of the model.
    fn stack(&self, images: &[Vec<u8>]) -> Result<Tensor> {
        let labels = vec![0; images.len()];
        let shape = self.fitting.shape();
        let images = Dataset::new("pictures", Vec::new(), shape, images.concat(), labels)?;
        let images = data::on_canvas(images, self.image, self.levels);
        Ok(images.all()?.images)
    }
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

/// Reads an opaque picture of any size as a u8 image `[1, C, H, W]`: of one channel if it is grey,
/// or of the channels of `color`.
pub(crate) fn read_any(path: &Path, color: Option<Color>) -> Result<Tensor> {
    let read = || {
        let picture = picture::decode(&picture::read(path)?)?;
        let fitting = unscaled(&picture, color);
        let pixels = fitting.apply(picture)?;
        let image = Dataset::new("picture", Vec::new(), fitting.shape(), pixels, vec![0])?;
        anyhow::Ok(image.all()?.images)
    };
    read().with_context(|| cannot_read(path))
}

/// The fitting that leaves an opaque picture its size: of one channel if it is grey, or of the
/// channels of `color`.
pub(super) fn unscaled(picture: &DynamicImage, color: Option<Color>) -> Fitting {
    let own = if picture.color().has_color() {
        Color::Rgb
    } else {
        Color::Grey
    };
    Fitting {
        height: picture.height() as usize,
        width: picture.width() as usize,
        fit: Fit::default(),
        color: color.unwrap_or(own),
        background: None,
    }
}

fn cannot_read(path: &Path) -> String {
    format!("cannot read `{}`", path.display())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use image::{GrayImage, ImageFormat, RgbImage};

    use super::*;

    /// A reader of a model of this shape, whose training data were not fitted.
    fn reader(image: ImageShape) -> PictureReader {
        PictureReader {
            fitting: Fitting {
                height: image.height,
                width: image.width,
                fit: Fit::default(),
                color: data::color(image).unwrap(),
                background: None,
            },
            scales: false,
            image,
            levels: 1,
        }
    }

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
        let found = reader(ImageShape::new(3, 2, 3)).find(&paths).unwrap();
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

        let images = reader(ImageShape::new(1, 2, 3))
            .read(&found.files[1..])
            .unwrap();
        assert_eq!(images.dims(), [3, 1, 2, 3]);
        assert_eq!(values(&images), [0, 1, 2, 10, 11, 12].repeat(3));
    }

    #[test]
    fn photographs_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.JPEG");
        let plain = RgbImage::from_pixel(16, 8, image::Rgb([200, 100, 50]));
        plain.save_with_format(&path, ImageFormat::Jpeg).unwrap();
        let found = reader(ImageShape::new(3, 8, 16)).find(&[folder.path().to_owned()]);
        let images = found.unwrap().images;
        let expected = [[200; 128], [100; 128], [50; 128]].concat();
        let near = |(a, b): (u8, u8)| a.abs_diff(b) <= 4;
        assert!(values(&images).into_iter().zip(expected).all(near));
    }
}
