//! Containers that are refused, each with its text.

use std::fs;

use flow_data::collection::{Sources, Stored};
use image::RgbImage;
use safetensors::Dtype;
use tempfile::tempdir;
use zip::CompressionMethod::{Deflated, Stored as Plain};

use super::{
    error,
    writers::{gzip, idx, npy, png, safetensors, tar_of, zip_of},
};

type Files = Vec<(String, Vec<u8>)>;
type Tensor<'a> = (&'a str, Dtype, &'a [usize], &'a [u8]);

fn files(files: &[(&str, &[u8])]) -> Files {
    let owned = files
        .iter()
        .map(|(path, content)| ((*path).to_owned(), content.to_vec()));
    owned.collect()
}

fn picture() -> Vec<u8> {
    png(&RgbImage::from_pixel(3, 2, image::Rgb([1, 2, 3])))
}

/// Asserts that a folder of `files` is refused with the text `PATH reason`.
fn check(files: &Files, path: &str, reason: &str) {
    let root = tempdir().unwrap();
    for (path, content) in files {
        fs::write(root.path().join(path), content).unwrap();
    }
    let path = root.path().join(path);
    let expected = format!("`{}` {reason}", path.display());
    let found = error(root.path());
    assert!(found.starts_with(&expected), "{found}\nis not\n{expected}");
    assert!(!found.contains(char::is_control));
}

/// The reasons of the pictures of a file; nothing for those that can be read.
fn reasons(name: &str, content: &[u8]) -> Vec<Option<String>> {
    let root = tempdir().unwrap();
    let path = root.path().join(name);
    fs::write(&path, content).unwrap();
    let collection = Sources::find(&path).unwrap().open().unwrap();
    let pictures = collection.pictures().unwrap();
    let reason = |stored: Result<Stored, flow_data::Malformed>| {
        stored.err().map(|reason| reason.to_string())
    };
    pictures.map(reason).collect()
}

#[test]
fn tar_archives() {
    let picture = &picture()[..];
    for (inside, reason) in [
        (
            &[
                ("a/x.png", picture),
                ("a/x.jpg", picture),
                ("a/x.cls", b"1"),
            ][..],
            "holds several images of sample `a/x`, such as `a/x.jpg`",
        ),
        (
            &[
                ("x.png", picture),
                ("x.cls", b"1"),
                ("y.cls", b"1"),
                ("z.json", br#"{"cls": 1}"#),
            ],
            "holds `y.cls`, but no image of that name",
        ),
        (
            &[("x.png", picture), ("x.cls", b" \n")],
            "holds `x.cls`, whose class is not one line of text",
        ),
        (
            &[("x.png", picture), ("x.cls", b"-1")],
            "holds `x.cls`, whose class is neither a number from 0 nor a name",
        ),
        (
            &[("x.png", picture), ("x.json", br#"{"label": [1]}"#)],
            "holds `x.json`, whose class is neither a number from 0 nor a name",
        ),
        (
            &[("x.png", picture), ("x.json", b"{")],
            "holds `x.json`, which is no JSON of at most a mebibyte",
        ),
        (
            &[("x.png", picture), ("./x.png", picture)],
            "holds `x.png` twice",
        ),
        (&[("x.txt", b"x")], "holds no image files"),
    ] {
        let archive = tar_of(&files(inside));
        check(&files(&[("x.tar", &archive)]), "x.tar", reason);
        check(&files(&[("x.tgz", &gzip(&archive))]), "x.tgz", reason);
    }
    // An image without a class is told when the classes of all are known.
    let root = tempdir().unwrap();
    let path = root.path().join("x.tar");
    let inside = files(&[("x.png", picture), ("x.cls", b"1"), ("y.png", picture)]);
    fs::write(&path, tar_of(&inside)).unwrap();
    let preparation = flow_data::Preparation::default();
    let prepared = flow_data::prepare("x", &path, &preparation, root.path(), &mut |_| {});
    let reason = prepared.unwrap_err().to_string();
    assert!(
        reason.contains("`y.png` has no class, as others have"),
        "{reason}"
    );
}

#[test]
fn damaged_archives() {
    let picture = picture();
    let inside = files(&[("a.png", &picture), ("b.png", &picture)]);
    let archive = tar_of(&inside);
    let cut = Some("it is cut off".to_owned());
    let end = 512 + 512 + 512 + picture.len() - 1;
    assert_eq!(reasons("x.tar", &archive[..end]), [None, cut.clone()]);
    let mut other = archive.clone();
    other[1024..1536].fill(27);
    let reason = "is no tar archive, or a damaged one";
    check(&files(&[("x.tar", &other)]), "x.tar", reason);
    let packed = gzip(&archive);
    let path = "x.tar.gz";
    let reason = "cannot read ";
    let root = tempdir().unwrap();
    fs::write(root.path().join(path), &packed[..packed.len() / 2]).unwrap();
    assert!(error(&root.path().join(path)).starts_with(reason));

    // The list at the end of a zip archive says what each file unpacks to.
    let archive = zip_of(&inside, Deflated);
    let list = archive
        .windows(4)
        .position(|bytes| bytes == b"PK\x01\x02")
        .unwrap();
    let announced = |size: u32| {
        let mut archive = archive.clone();
        archive[list + 24..][..4].copy_from_slice(&size.to_le_bytes());
        reasons("x.zip", &archive)
    };
    let size = picture.len() as u32;
    let larger = Some("File is larger than its declared uncompressed size".to_owned());
    let bomb = Some("it is larger than 1 GiB".to_owned());
    assert_eq!(announced(size), [None, None]);
    assert_eq!(announced(size - 1), [larger, None]);
    assert_eq!(announced(size + 1), [cut, None]);
    assert_eq!(announced(1 << 31), [bomb, None]);
    let mut encrypted = archive.clone();
    encrypted[list + 8] |= 1;
    let reason = "is encrypted; unpack it with its password, and name the folder";
    check(&files(&[("x.zip", &encrypted)]), "x.zip", reason);
    let reason = "is no zip archive that can be read: ";
    check(&files(&[("x.zip", &archive[..list])]), "x.zip", reason);
    let text = zip_of(&files(&[("a.txt", b"a"), (".b.png", &picture)]), Plain);
    check(&files(&[("x.zip", &text)]), "x.zip", "holds no image files");
}

#[test]
fn arrays_of_numpy() {
    let floats =
        "holds float32, and pixels are uint8: multiply those from 0 to 1 by 255, and round";
    let ambiguous =
        "is of shape [2, 3, 5, 4], of which the second or the last axis may be channels; ";
    for (dtype, shape, reason) in [
        ("<f4", &[2, 5, 5][..], floats),
        (
            "<i8",
            &[2, 5, 5],
            "holds int64, and pixels are uint8: convert them with `astype",
        ),
        (
            "|b1",
            &[2, 5, 5],
            "holds bool, and pixels are uint8: convert them with `astype",
        ),
        (
            "|O",
            &[2],
            "holds objects, and pixels are uint8: Python objects are never unpacked",
        ),
        ("|u1", &[2, 3, 5, 4], ambiguous),
        (
            "|u1",
            &[2, 5, 5, 5],
            "is of shape [2, 5, 5, 5], of which neither the second nor the",
        ),
        (
            "|u1",
            &[2, 75],
            "is of 2 axes, and images are [N, H, W], [N, H, W, C] or",
        ),
        ("|u1", &[0, 5, 5], "holds no images"),
        ("|u1", &[2, 0, 5], "holds images of 0×5 pixels"),
    ] {
        let content = array(dtype, shape);
        check(&files(&[("x.npy", &content)]), "x.npy", reason);
        let inside = zip_of(&files(&[("x.npy", &content)]), Deflated);
        check(
            &files(&[("x.npz", &inside)]),
            "x.npz",
            &format!("(`x`) {reason}"),
        );
    }
}

#[test]
fn arrays_of_numpy_that_do_not_go_together() {
    let images = array("|u1", &[2, 5, 5]);
    let labels = |dtype, shape: &[usize]| array(dtype, shape);
    for (inside, reason) in [
        (
            &[("images", &images), ("labels", &labels("<i8", &[3]))][..],
            "(`labels`) holds 3 numbers, and labels of 2 images are [2]",
        ),
        (
            &[("images", &images), ("labels", &labels("<f8", &[2]))],
            "(`labels`) holds float64, and labels are integers",
        ),
        (
            &[
                ("images", &images),
                ("labels", &npy("<i2", &[2], &[0, 0, 255, 255])),
            ],
            "(`labels`) labels image 1 as -1",
        ),
        (
            &[("x_train", &images), ("y_test", &labels("<i8", &[2]))],
            "(`y_test`) holds labels, but there are no images to them",
        ),
        (
            &[("images", &images), ("x", &images)],
            "(`x`) holds images, as `images` does",
        ),
        (
            &[("features", &images), ("weights", &images)],
            "(`features`) is not known to hold images; call these `images` and their classes ",
        ),
        (
            &[
                ("data", &array("|u1", &[2, 13])),
                ("labels", &labels("<i8", &[2])),
            ],
            "(`data`) is of shape [2, 13], and rows of colored squares hold 3·S·S values",
        ),
        (
            &[("x", &npy("|u1", &[3, 5, 5], &[0; 74]))],
            "announces 203 B, but holds 202 B",
        ),
    ]
    .map(|(inside, reason)| {
        let owned = inside
            .iter()
            .map(|(key, content)| (format!("{key}.npy"), (*content).clone()));
        (owned.collect::<Files>(), reason)
    }) {
        for method in [Plain, Deflated] {
            let content = zip_of(&inside, method);
            check(&files(&[("x.npz", &content)]), "x.npz", reason);
        }
    }
}

#[test]
fn damaged_arrays_of_numpy() {
    let images = array("|u1", &[2, 5, 5]);
    let fortran = String::from_utf8_lossy(&images[6..]).replace("False", "True ");
    let fortran = [&images[..6], fortran.as_bytes()].concat();
    let reason = "is in Fortran's order; save what `numpy.ascontiguousarray` makes of it";
    check(&files(&[("x.npy", &fortran)]), "x.npy", reason);
    check(
        &files(&[("x.npy", b"not one")]),
        "x.npy",
        "is not an array that NumPy saved",
    );
    let reason = "announces 203 B, but holds more";
    let long = npy("|u1", &[3, 5, 5], &[0; 76]);
    check(&files(&[("x.npy.gz", &gzip(&long))]), "x.npy.gz", reason);
    let reason = "holds no arrays of NumPy";
    check(
        &files(&[("x.npz", &zip_of(&files(&[("x", b"x")]), Plain))]),
        "x.npz",
        reason,
    );
}

/// An array of ones; those of objects have eight bytes.
fn array(dtype: &str, shape: &[usize]) -> Vec<u8> {
    let bytes = dtype[2..].parse().unwrap_or(8);
    let size = shape.iter().fold(bytes, |all, size| all * size);
    npy(dtype, shape, &vec![1; size])
}

/// A byte of a deflated array differs from the one that was saved.
#[test]
fn a_checksum_of_an_npz() {
    let array = npy("|u1", &[3, 5, 5], &[0; 75]);
    let mut content = zip_of(&files(&[("x.npy", &array)]), Deflated);
    let list = content
        .windows(4)
        .position(|bytes| bytes == b"PK\x01\x02")
        .unwrap();
    content[list + 16] ^= 1;
    let root = tempdir().unwrap();
    fs::write(root.path().join("x.npz"), content).unwrap();
    let found = error(root.path());
    assert!(found.ends_with(": its checksum is another one"), "{found}");
}

#[test]
fn other_arrays() {
    let images = idx(&[2, 5, 6], &[0; 60]);
    let (name, labels_name) = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte");
    for (labels, path, reason) in [
        (
            idx(&[3], &[0; 3]),
            labels_name,
            "does not go with its images: 3 against 2",
        ),
        (
            idx(&[2], &[0]),
            labels_name,
            "announces 10 B, but holds 9 B",
        ),
        (
            vec![0, 0, 13, 1],
            labels_name,
            "is not an IDX file of bytes",
        ),
    ] {
        check(
            &files(&[(name, &images), (labels_name, &labels)]),
            path,
            reason,
        );
    }
    let reason = "holds labels, but no images of such a name lie beside it";
    check(
        &files(&[(labels_name, &idx(&[2], &[0; 2]))]),
        labels_name,
        reason,
    );
    let reason = "announces 76 B, but holds 75 B";
    check(&files(&[(name, &images[..75])]), name, reason);

    let reason = "is not a file of CIFAR-10: not records of 3073 bytes";
    check(
        &files(&[("data_batch_1.bin", &[0; 3074])]),
        "data_batch_1.bin",
        reason,
    );
    let reason = "labels image 0 as 100, not 0 to 99";
    check(&files(&[("train.bin", &[100; 3074])]), "train.bin", reason);
    let two = [("a.npy", &images[..]), ("b.bin", &[0; 3073])];
    check(&files(&two), "b.bin", "is of another kind than ");

    let root = tempdir().unwrap();
    let path = root.path().join("x.safetensors");
    let images: Tensor<'_> = ("images", Dtype::U8, &[2, 5, 6], &[0; 60]);
    for (tensors, reason) in [
        (
            &[("x", Dtype::U8, &[1][..], &[0][..])][..],
            "holds no tensor `images`",
        ),
        (
            &[("images", Dtype::F32, &[1, 1, 1], &[0; 4])],
            "holds `images` as F32, and pixels are U8",
        ),
        (
            &[images, ("labels", Dtype::U8, &[3], &[0; 3])],
            "holds `labels` as U8 [3], not integers [2]",
        ),
        (
            &[images, ("labels", Dtype::F32, &[2], &[0; 8])],
            "holds `labels` as F32 [2], not integers [2]",
        ),
    ] {
        safetensors(&path, tensors);
        let content = fs::read(&path).unwrap();
        check(
            &files(&[("x.safetensors", &content)]),
            "x.safetensors",
            reason,
        );
        let cut = &content[..content.len() - 1];
        let reason = "is no whole file of safetensors";
        check(&files(&[("x.safetensors", cut)]), "x.safetensors", reason);
    }
}
