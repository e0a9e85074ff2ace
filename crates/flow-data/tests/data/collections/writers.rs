//! Containers, written as their own programs write them.

use std::{
    fs::{self, File},
    io::{Cursor, Write},
    path::Path,
};

use flate2::{Compression, write::GzEncoder};
use flow_data::collection::Part;
use image::{ImageFormat, RgbImage};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::{CLASSES, Image};

pub(super) fn png(image: &RgbImage) -> Vec<u8> {
    let mut content = Cursor::new(Vec::new());
    image.write_to(&mut content, ImageFormat::Png).unwrap();
    content.into_inner()
}

pub(super) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn part(part: Part) -> &'static str {
    if part == Part::Train { "train" } else { "test" }
}

/// Paths and contents of a folder of images.
pub(super) fn folder_of(images: &[Image]) -> Vec<(String, Vec<u8>)> {
    let file = |(number, (image, class, of)): (usize, &Image)| {
        let path = format!("{}/{}/{number:02} ü.png", part(*of), CLASSES[*class]);
        (path, png(image))
    };
    images.iter().enumerate().map(file).collect()
}

pub(super) fn write_folder(root: &Path, files: &[(String, Vec<u8>)]) {
    for (path, content) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

pub(super) fn tar_of(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive
            .append_data(&mut header, path, &content[..])
            .unwrap();
    }
    archive.into_inner().unwrap()
}

pub(super) fn zip_of(files: &[(String, Vec<u8>)], method: CompressionMethod) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    for (path, content) in files {
        archive.start_file(path.as_str(), options).unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// An array as NumPy saves it (format 1).
pub(super) fn npy(dtype: &str, shape: &[usize], elements: &[u8]) -> Vec<u8> {
    let sizes = shape.iter().map(|size| format!("{size},"));
    let sizes = sizes.collect::<String>();
    let header = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({sizes}), }}");
    let header = format!("{header:<117}\n");
    let length = (header.len() as u16).to_le_bytes();
    [
        b"\x93NUMPY\x01\x00",
        &length[..],
        header.as_bytes(),
        elements,
    ]
    .concat()
}

/// The order of an image's values.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Planes,
    Pixels,
}

/// The values of all images of a part.
pub(super) fn values(images: &[Image], of: Part, order: Order) -> Vec<u8> {
    let own = images.iter().filter(|(.., part)| *part == of);
    let values = |(image, ..): &Image| match order {
        Order::Pixels => image.as_raw().clone(),
        Order::Planes => (0..3)
            .flat_map(|c| image.pixels().map(move |pixel| pixel[c]))
            .collect(),
    };
    own.flat_map(values).collect()
}

/// The classes of all images of a part.
pub(super) fn labels(images: &[Image], of: Part) -> Vec<u8> {
    let own = images.iter().filter(|(.., part)| *part == of);
    own.map(|(_, class, _)| *class as u8).collect()
}

/// Images and labels of both parts as an IDX file each, by MNIST's names.
pub(super) fn write_idx(root: &Path, images: &[Image], item: &[usize], order: Order) {
    for (of, name) in [(Part::Train, "train"), (Part::Test, "t10k")] {
        let labels = labels(images, of);
        let content = values(images, of, order);
        let rank = 1 + item.len();
        let pixels = root.join(format!("{name}-images-idx{rank}-ubyte.gz"));
        let shape = [&[labels.len()], item].concat();
        fs::write(pixels, gzip(&idx(&shape, &content))).unwrap();
        let path = root.join(format!("{name}-labels.idx1-ubyte"));
        fs::write(path, idx(&[labels.len()], &labels)).unwrap();
    }
}

pub(super) fn idx(shape: &[usize], elements: &[u8]) -> Vec<u8> {
    let mut content = vec![0, 0, 8, shape.len() as u8];
    for &size in shape {
        content.extend((size as u32).to_be_bytes());
    }
    content.extend(elements);
    content
}

/// A file of safetensors with tensors of a name, type, shape and bytes each.
pub(super) fn safetensors(path: &Path, tensors: &[(&str, safetensors::Dtype, &[usize], &[u8])]) {
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        let view = safetensors::tensor::TensorView::new(*dtype, shape.to_vec(), bytes);
        (*name, view.unwrap())
    });
    let content = safetensors::serialize(views, None).unwrap();
    File::create(path).unwrap().write_all(&content).unwrap();
}
