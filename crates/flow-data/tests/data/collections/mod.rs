//! The same images in every container.

mod containers;
mod damaged;
mod refusals;
mod writers;

use std::path::Path;

use flow_data::collection::{Class, Part, Sources, Stored};
use image::{DynamicImage, RgbImage};

/// Classes of the images.
const CLASSES: [&str; 3] = ["cat", "dog", "owl"];

/// An image, its class and its part.
type Image = (RgbImage, usize, Part);

/// Ten images of some size, in the order of a folder: by part (test first), class, and name.
fn images(width: u32, height: u32) -> Vec<Image> {
    let parts = [(Part::Test, [1, 1, 1]), (Part::Train, [3, 2, 2])];
    let mut images = Vec::new();
    for (part, counts) in parts {
        for (class, count) in counts.into_iter().enumerate() {
            for _ in 0..count {
                let seed = 40 * images.len() as u32;
                let value = |x: u32, y: u32, c: u32| (seed + 7 * x + 31 * y + 90 * c) as u8;
                let pixel = |x, y| image::Rgb([0, 1, 2].map(|c| value(x, y, c)));
                images.push((RgbImage::from_fn(width, height, pixel), class, part));
            }
        }
    }
    images
}

/// Images, classes and parts of a collection, whose entries have names of their own.
fn read(path: &Path) -> Vec<(DynamicImage, Option<Class>, Option<Part>)> {
    let collection = Sources::find(path).unwrap().open().unwrap();
    let names = collection.entries.iter().map(|entry| &entry.name);
    let names = names.collect::<std::collections::BTreeSet<_>>();
    assert_eq!(names.len(), collection.entries.len());
    let mut pictures = collection.pictures().unwrap();
    let read = collection.entries.iter().map(|entry| {
        let picture = match pictures.next().unwrap().unwrap() {
            Stored::File(path) => image::open(path).unwrap(),
            Stored::Encoded(content) => image::load_from_memory(&content).unwrap(),
            Stored::Pixels(pixels) => pixels,
        };
        (picture, entry.class.clone(), entry.part)
    });
    let read = read.collect();
    assert!(pictures.next().is_none());
    read
}

/// The error of a collection, with its causes.
fn error(path: &Path) -> String {
    let error = Sources::find(path).and_then(|sources| sources.open()).err();
    let error = error.expect("an error");
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    [Some(error.to_string()), cause]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(": ")
}
