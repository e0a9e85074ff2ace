//! Data sets written to a folder and read back, whole and damaged.

use std::{fs, io::Write, path::Path};

use flate2::{Compression, write::GzEncoder};
use flow_data::{Dataset, DatasetName, Error, Split, cifar10, idx};
use proptest::{collection::vec, prelude::*};

const IMAGE: usize = idx::SIDE * idx::SIDE;

/// Writes one split of MNIST under `data_dir`, the images as `image_content`.
fn write_mnist(data_dir: &Path, image_content: &[u8], labels: &[u8]) {
    let folder = data_dir.join("mnist");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("t10k-images-idx3-ubyte"), image_content).unwrap();
    fs::write(
        folder.join("t10k-labels-idx1-ubyte.gz"),
        gzip(&idx::encode_labels(labels)),
    )
    .unwrap();
}

/// Writes a file and the folders above it.
fn write(folder: &Path, name: &str, content: &[u8]) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// All pixels and labels of a data set.
fn everything(dataset: &Dataset) -> (Vec<u8>, Vec<u8>) {
    let batch = dataset
        .batch(&(0..dataset.len()).collect::<Vec<_>>())
        .unwrap();
    let (c, h, w) = dataset.shape();
    assert_eq!(batch.images.dims(), [dataset.len(), c, h, w]);
    let pixels = batch.images.flatten_all().unwrap().to_vec1().unwrap();
    let labels: Vec<u32> = batch.labels.to_vec1().unwrap();
    (
        pixels,
        labels
            .into_iter()
            .map(|label| u8::try_from(label).unwrap())
            .collect(),
    )
}

fn images_and_labels(image: usize) -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    (1..6_usize).prop_flat_map(move |n| (vec(any::<u8>(), n * image), vec(0..10_u8, n)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn idx_round_trip((pixels, labels) in images_and_labels(IMAGE), compressed: bool) {
        let data = tempfile::tempdir().unwrap();
        let content = idx::encode_images(&pixels);
        write_mnist(data.path(), &if compressed { gzip(&content) } else { content }, &labels);
        let dataset = Dataset::load(DatasetName::Mnist, Split::Test, data.path()).unwrap();
        prop_assert_eq!(dataset.shape(), (1, 28, 28));
        prop_assert_eq!(everything(&dataset), (pixels, labels));
    }

    #[test]
    fn cifar10_round_trip((pixels, labels) in images_and_labels(3072)) {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("cifar10");
        fs::create_dir(&folder).unwrap();
        for batch in 1..=5 {
            let name = format!("data_batch_{batch}.bin");
            fs::write(folder.join(name), cifar10::encode(&pixels, &labels)).unwrap();
        }
        let dataset = Dataset::load(DatasetName::Cifar10, Split::Train, data.path()).unwrap();
        prop_assert_eq!(dataset.shape(), (3, 32, 32));
        prop_assert_eq!(everything(&dataset), (pixels.repeat(5), labels.repeat(5)));
    }
}

#[test]
fn cifar10_is_label_then_planes() {
    let pixels: Vec<u8> = (0..3072).map(|i| (i / 1024) as u8).collect();
    let record = cifar10::encode(&pixels, &[7]);
    assert_eq!(record.len(), 3073);
    assert_eq!(
        [
            record[0],
            record[1],
            record[1024],
            record[1025],
            record[3072]
        ],
        [7, 0, 0, 1, 2]
    );
}

/// The header and the first bytes of the real files, as their authors describe them.
#[test]
fn idx_headers() {
    let images = idx::encode_images(&[0; 2 * IMAGE]);
    assert_eq!(
        images[..16],
        [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28]
    );
    assert_eq!(
        idx::encode_labels(&[4, 5, 6]),
        [0, 0, 8, 1, 0, 0, 0, 3, 4, 5, 6]
    );
}

#[test]
fn damaged_images_are_errors() {
    let good = idx::encode_images(&[9; 2 * IMAGE]);
    let with = |at: usize, bytes: &[u8]| {
        let mut content = good.clone();
        content[at..at + bytes.len()].copy_from_slice(bytes);
        content
    };
    let cases = [
        (Vec::new(), "is not an IDX file of images"),
        (good[..12].to_vec(), "is not an IDX file of images"),
        (
            idx::encode_labels(&[1; 2000]),
            "is not an IDX file of images",
        ),
        (with(2, &[9]), "is not an IDX file of images"),
        (
            with(8, &[0, 0, 0, 29]),
            "holds images of [29, 28] pixels, not [28, 28]",
        ),
        (with(4, &[0; 4]), "announces 0 images, not 1 to 10000"),
        (
            with(4, &[255; 4]),
            "announces 4294967295 images, not 1 to 10000",
        ),
        (
            with(4, &[0, 0, 0x27, 0x10]),
            "announces 7840000 B of images but holds 1568",
        ),
        (
            good[..good.len() - 1].to_vec(),
            "announces 1568 B of images but holds 1567",
        ),
        (
            [&good[..], &[0]].concat(),
            "announces 1568 B of images but holds more",
        ),
    ];
    for (content, reason) in cases {
        for content in [gzip(&content), content] {
            let data = tempfile::tempdir().unwrap();
            write_mnist(data.path(), &content, &[1, 2]);
            let path = data.path().join("mnist/t10k-images-idx3-ubyte");
            let err = Dataset::load(DatasetName::Mnist, Split::Test, data.path()).unwrap_err();
            assert_eq!(err.to_string(), format!("`{}` {reason}", path.display()));
        }
    }
}

#[test]
fn broken_gzip_is_an_error_of_reading() {
    let data = tempfile::tempdir().unwrap();
    let content = gzip(&idx::encode_images(&[9; 2 * IMAGE]));
    write_mnist(data.path(), &content[..content.len() - 9], &[1, 2]);
    let err = Dataset::load(DatasetName::Mnist, Split::Test, data.path()).unwrap_err();
    assert!(matches!(err, Error::Io { .. }), "{err}");
}

#[test]
fn labels_must_be_classes_one_an_image() {
    for (labels, reason) in [
        (&[1][..], "does not go with its images: 1 against 2"),
        (&[1, 10], "labels image 1 as 10, not 0 to 9"),
    ] {
        let data = tempfile::tempdir().unwrap();
        write_mnist(data.path(), &idx::encode_images(&[9; 2 * IMAGE]), labels);
        let err = Dataset::load(DatasetName::Mnist, Split::Test, data.path()).unwrap_err();
        assert!(err.to_string().ends_with(reason), "{err}");
    }
}

#[test]
fn damaged_cifar10_is_an_error() {
    let good = cifar10::encode(&[0; 2 * 3072], &[1, 2]);
    let cases = [
        (&[][..], "not 1 to 10000 records of 3073 bytes"),
        (
            &good[..good.len() - 1],
            "not 1 to 10000 records of 3073 bytes",
        ),
        (
            &cifar10::encode(&[0; 3072], &[200]),
            "labels image 0 as 200, not 0 to 9",
        ),
        (
            &vec![0; 10_001 * 3073],
            "not 1 to 10000 records of 3073 bytes",
        ),
    ];
    for (content, reason) in cases {
        let data = tempfile::tempdir().unwrap();
        fs::create_dir(data.path().join("cifar10")).unwrap();
        fs::write(data.path().join("cifar10/test_batch.bin"), content).unwrap();
        let err = Dataset::load(DatasetName::Cifar10, Split::Test, data.path()).unwrap_err();
        assert!(err.to_string().ends_with(reason), "{err}");
    }
}

#[test]
fn what_is_missing_is_listed() {
    let error = |data: &Path| {
        let error = Dataset::load(DatasetName::FashionMnist, Split::Train, data).unwrap_err();
        error.to_string()
    };
    assert_eq!(
        error(Path::new("nowhere")),
        "`nowhere` does not hold fashion-mnist: looked for `train-images-idx3-ubyte.gz`, \
         `train-images-idx3-ubyte`, `train-images.idx3-ubyte.gz`, `train-images.idx3-ubyte` in it and in its \
         folders `fashion-mnist`, `FashionMNIST/raw`, `FashionMNIST`, `raw`, `fashion-mnist/fashion-mnist`, \
         `fashion-mnist/FashionMNIST/raw`, `fashion-mnist/FashionMNIST`, `fashion-mnist/raw`"
    );
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("FashionMNIST/raw");
    write(&folder, "train-images-idx3-ubyte", &[]);
    let expected = format!(
        "`{}` holds a part of fashion-mnist, but not `train-labels-idx1-ubyte`",
        folder.display()
    );
    assert_eq!(error(data.path()), expected);
}

/// The first labels are known, and so are the mean pixels of the whole: a subset that is not of all
/// kinds of writers differs by 2.
#[test]
fn the_bundled_subset_is_mnist() {
    for (split, count, first_label, mean) in [
        (Split::Train, 10_000, 5, 33.318),
        (Split::Test, 2_000, 7, 33.791),
    ] {
        let dataset = Dataset::bundled(split).unwrap();
        assert_eq!(
            (dataset.len(), dataset.shape(), dataset.classes()),
            (count, (1, 28, 28), 10)
        );
        let (pixels, labels) = everything(&dataset);
        assert_eq!(labels[0], first_label);
        let found = pixels.iter().map(|&pixel| f64::from(pixel)).sum::<f64>() / pixels.len() as f64;
        assert!((found - mean).abs() < 0.5, "mean pixel of {split}: {found}");
    }
}

#[test]
fn names_are_read_as_they_are_written() {
    for name in DatasetName::ALL {
        assert_eq!(name.to_string().parse::<DatasetName>().unwrap(), name);
    }
    for split in [Split::Train, Split::Test] {
        assert_eq!(split.to_string().parse::<Split>().unwrap(), split);
    }
    let err = "mnits".parse::<DatasetName>().unwrap_err();
    assert_eq!(
        err.to_string(),
        "unknown data set `mnits`; expected `mnist`, `fashion-mnist` or `cifar10`"
    );
    let err = "valid".parse::<Split>().unwrap_err();
    assert_eq!(
        err.to_string(),
        "unknown split `valid`; expected `train` or `test`"
    );
}
