//! Data sets and pictures.

use candle_core::Tensor;
use flow_data::{Dataset, Split, idx};
use image::GrayImage;

use super::Sandbox;

impl Sandbox {
    /// A folder in which the data set is some of the bundled digits: 384 to train on, and 20.
    pub(crate) fn with_digits() -> Self {
        let sandbox = Self::new();
        sandbox.write_digits("data", 384, 20);
        sandbox
    }

    /// Writes the first bundled digits as the data set of a data folder.
    pub(crate) fn write_digits(&self, folder: &str, train: usize, test: usize) {
        for (split, name, count) in [(Split::Train, "train", train), (Split::Test, "t10k", test)] {
            let digits = Dataset::bundled(split).unwrap();
            let digits = digits.batch(&(0..count).collect::<Vec<_>>()).unwrap();
            let labels = digits.labels.to_vec1::<u32>().unwrap().into_iter();
            let labels = labels.map(|label| label as u8).collect::<Vec<_>>();
            let name = format!("{folder}/mnist/{name}");
            self.write_split(&name, &pixels(&digits.images), &labels);
        }
    }

    /// Writes images of 28×28 and their labels in the format of MNIST; the name is that of the
    /// split.
    pub(crate) fn write_split(&self, name: &str, pixels: &[u8], labels: &[u8]) {
        let images = idx::encode_images(pixels);
        self.write(&format!("{name}-images-idx3-ubyte"), images);
        let labels = idx::encode_labels(labels);
        self.write(&format!("{name}-labels-idx1-ubyte"), labels);
    }

    /// Writes a CIFAR-10 of six files of a few images each, to which the number of a file, the
    /// label and the place give a pixel.
    pub(crate) fn write_cifar10(
        &self,
        folder: &str,
        count: usize,
        pixel: impl Fn(usize, usize, usize) -> u8,
    ) {
        let files = (1..=5).map(|i| format!("data_batch_{i}"));
        for (file, name) in files.chain(["test_batch".to_owned()]).enumerate() {
            let image = |label: usize| {
                let pixels = (0..3072).map(|place| pixel(file, label, place));
                [label as u8].into_iter().chain(pixels).collect::<Vec<_>>()
            };
            let images = (0..count).flat_map(image).collect::<Vec<_>>();
            self.write(&format!("{folder}/cifar10/{name}.bin"), images);
        }
    }

    /// Writes an image of 28×28 as a picture.
    pub(crate) fn write_picture(&self, name: &str, pixels: Vec<u8>) {
        let picture = GrayImage::from_raw(28, 28, pixels).unwrap();
        picture.save(self.path(name)).unwrap();
    }
}

/// The pixels of a bundled digit.
pub(crate) fn digit(split: Split, index: usize) -> Vec<u8> {
    let digits = Dataset::bundled(split).unwrap().batch(&[index]).unwrap();
    pixels(&digits.images)
}

/// All pixels of images, u8.
pub(crate) fn pixels(images: &Tensor) -> Vec<u8> {
    images.flatten_all().unwrap().to_vec1().unwrap()
}
