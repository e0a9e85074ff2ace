//! Data sets as other programs and sites lay them out, and gzip as it comes from tapes and
//! downloads.

use std::{fs, io::Write, path::Path};

use flate2::{Compression, write::GzEncoder};
use flow_data::{Dataset, DatasetName, Error, Split, cifar10, idx};
use tempfile::TempDir;

const IMAGE: usize = idx::SIDE * idx::SIDE;

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// An IDX file of two images that are `value` all over.
fn images(value: u8) -> Vec<u8> {
    idx::encode_images(&[value; 2 * IMAGE])
}

/// A folder with files in it.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

fn load(name: DatasetName, data_dir: &Path) -> flow_data::Result<Dataset> {
    Dataset::load(name, Split::Test, data_dir)
}

/// The first pixel of the test images, and the folder they are from below `data_dir`.
fn first_pixel(name: DatasetName, data_dir: &Path) -> (u8, String) {
    let dataset = load(name, data_dir).unwrap();
    let pixels = dataset.batch(&[0]).unwrap().images.flatten_all().unwrap();
    let below = dataset.folder().unwrap().strip_prefix(data_dir).unwrap();
    (
        pixels.to_vec1::<u8>().unwrap()[0],
        below.display().to_string(),
    )
}

#[test]
fn known_layouts_of_mnist_are_found() {
    let labels = idx::encode_labels(&[1, 2]);
    let folders = [
        "mnist",
        "MNIST/raw",
        "MNIST",
        "raw",
        "",
        "mnist/mnist",
        "mnist/MNIST/raw",
    ];
    let files = [
        ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"],
        ["t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte"],
        ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"],
        ["t10k-images.idx3-ubyte.gz", "t10k-labels.idx1-ubyte"],
    ];
    let packed = |name: &str, content: &[u8]| {
        if Path::new(name).extension().is_some_and(|end| end == "gz") {
            gzip(content)
        } else {
            content.to_vec()
        }
    };
    for place in folders {
        for [pixels, classes] in files {
            let at = |name: &str| Path::new(place).join(name).display().to_string();
            let data = folder(&[
                (&at(pixels), &packed(pixels, &images(9))),
                (&at(classes), &packed(classes, &labels)),
            ]);
            let found = first_pixel(DatasetName::Mnist, data.path());
            assert_eq!(found, (9, place.to_owned()), "{pixels}");
        }
    }
    // As unpacked by some programs: a folder that is called as the file in it is.
    let data = folder(&[
        ("t10k-images-idx3-ubyte/t10k-images-idx3-ubyte", &images(8)),
        ("t10k-labels-idx1-ubyte/t10k-labels-idx1-ubyte", &labels),
    ]);
    assert_eq!(first_pixel(DatasetName::Mnist, data.path()).0, 8);

    let data = folder(&[
        ("FashionMNIST/raw/t10k-images-idx3-ubyte", &images(7)),
        ("FashionMNIST/raw/t10k-labels-idx1-ubyte", &labels),
    ]);
    let found = first_pixel(DatasetName::FashionMnist, data.path());
    assert_eq!(found, (7, "FashionMNIST/raw".to_owned()));
    let error = load(DatasetName::Mnist, data.path()).unwrap_err();
    assert!(matches!(error, Error::Missing { .. }), "{error}");
}

#[test]
fn the_archive_of_cifar10_is_found() {
    for place in [
        "cifar-10-batches-bin",
        "cifar10/cifar-10-batches-bin",
        "cifar10",
        "",
    ] {
        let name = Path::new(place).join("test_batch.bin");
        let content = cifar10::encode(&[5; 3072], &[3]);
        let data = folder(&[(name.to_str().unwrap(), &content)]);
        let found = first_pixel(DatasetName::Cifar10, data.path());
        assert_eq!(found, (5, place.to_owned()));
    }
}

/// Two copies may lie there if they agree; a whole copy comes before a part of one.
#[test]
fn contradictions_are_refused() {
    let labels = idx::encode_labels(&[1, 2]);
    let (canonical, compressed, raw) = (
        "mnist/t10k-images-idx3-ubyte",
        "mnist/t10k-images-idx3-ubyte.gz",
        "MNIST/raw/t10k-images-idx3-ubyte",
    );
    let whole = [
        ("mnist/t10k-labels-idx1-ubyte", &*labels),
        ("MNIST/raw/t10k-labels-idx1-ubyte", &labels),
    ];
    let with = |more: &[(&str, &[u8])]| folder(&[&whole, more].concat());
    let (one, two) = (images(1), images(2));
    let data = with(&[(canonical, &one), (compressed, &gzip(&one)), (raw, &one)]);
    let found = first_pixel(DatasetName::Mnist, data.path());
    assert_eq!(found, (1, "mnist".to_owned()));
    let data = with(&[(raw, &two)]);
    let found = first_pixel(DatasetName::Mnist, data.path());
    assert_eq!(found, (2, "MNIST/raw".to_owned()));

    for (first, content, second, other) in [
        (canonical, &one, raw, &*two),
        (compressed, &gzip(&one), canonical, &two),
        (canonical, &one, raw, &one[..one.len() - 1]),
    ] {
        let data = with(&[(first, content), (second, other)]);
        let error = load(DatasetName::Mnist, data.path()).unwrap_err();
        let [first, second] = [first, second].map(|name| data.path().join(name));
        let expected = format!(
            "`{}` and `{}` are the same file by name, but not by content; remove the wrong one",
            first.display(),
            second.display()
        );
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn zeros_behind_gzip_are_padding() {
    let labels = idx::encode_labels(&[1, 2]);
    let content = images(6);
    let load = |images: &[u8]| {
        let data = folder(&[
            ("mnist/t10k-images-idx3-ubyte.gz", images),
            ("mnist/t10k-labels-idx1-ubyte", &labels),
        ]);
        let path = data.path().join("mnist/t10k-images-idx3-ubyte.gz");
        load(DatasetName::Mnist, data.path()).map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            (error.to_string(), cause, path.display().to_string())
        })
    };
    let (front, back) = content.split_at(500);
    let zeros = vec![0; 20_000];
    let whole = gzip(&content);
    for file in [
        [&*whole, &[0]].concat(),
        [&*whole, &zeros].concat(),
        [gzip(front), gzip(back)].concat(),
        [&*gzip(front), &zeros, &gzip(b""), &gzip(back), &[0; 512]].concat(),
    ] {
        assert_eq!(load(&file).unwrap().len(), 2);
    }
    for garbage in [&b"garbage"[..], b"\x1f", b"\x1fgarbage", b"\0\0garbage"] {
        let (error, cause, path) = load(&[&*whole, garbage].concat()).unwrap_err();
        assert_eq!(error, format!("cannot read `{path}`"));
        let cause = cause.unwrap();
        let expected = "behind the gzip data stand bytes that do not belong to it";
        assert_eq!(cause, expected, "{garbage:?}");
    }
    // A member that begins well and is cut off.
    let (_, cause, _) = load(&[&*whole, &whole[..20]].concat()).unwrap_err();
    assert!(!cause.unwrap().contains("do not belong"));
    let (error, _, path) = load(&[&*gzip(front), &*gzip(front)].concat()).unwrap_err();
    assert_eq!(
        error,
        format!("`{path}` announces 1568 B of images but holds 984")
    );
}
