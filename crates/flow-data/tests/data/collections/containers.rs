//! Containers of the same images hold the same images.

use std::{fs, path::Path};

use flow_data::{
    Dataset, Preparation,
    collection::{Class, Part, Sources},
    prepare,
};
use safetensors::Dtype;
use tempfile::tempdir;
use zip::CompressionMethod;

use super::{
    CLASSES, Image, images, read,
    writers::{
        Order, folder_of, gzip, labels, npy, part, png, safetensors, tar_of, values, write_folder,
        write_idx, zip_of,
    },
};

const WIDTH: usize = 6;
const HEIGHT: usize = 5;

/// A way to give classes.
#[derive(Clone, Copy)]
enum By {
    Name,
    Number,
}

/// Asserts that `path` holds the images, part by part in their order.
fn check(path: &Path, images: &[Image], by: By) {
    let found = read(path);
    assert_eq!(found.len(), images.len());
    for of in [Part::Train, Part::Test] {
        let found = found.iter().filter(|(.., part)| *part == Some(of));
        let known = images.iter().filter(|(.., part)| *part == of);
        for ((picture, class, _), (image, known, _)) in found.zip(known) {
            assert_eq!(picture.as_rgb8(), Some(image), "{}", path.display());
            let known = match by {
                By::Name => Class::Name(CLASSES[*known].to_owned()),
                By::Number => Class::Number(*known as u32),
            };
            assert_eq!(class.as_ref(), Some(&known));
        }
    }
    assert!(found.iter().all(|(.., part)| part.is_some()));
    let cache = tempdir().unwrap();
    let prepared = prepare(
        "animals",
        path,
        &Preparation::default(),
        cache.path(),
        &mut |_| {},
    );
    let prepared = prepared.unwrap();
    for (of, data) in [(Part::Train, &prepared.train), (Part::Test, &prepared.test)] {
        let classes = labels(images, of).into_iter().map(u32::from).collect();
        let pixels = values(images, of, Order::Planes);
        let (width, height) = images[0].0.dimensions();
        let shape = (3, height as usize, width as usize);
        let known = Dataset::new(
            "",
            CLASSES.map(str::to_owned).to_vec(),
            shape,
            pixels,
            classes,
        );
        assert_eq!(data.digest().unwrap(), known.unwrap().digest().unwrap());
    }
}

/// Images and labels of both parts: the keys and the content of the arrays.
fn arrays(images: &[Image], order: Order, keys: [&str; 4], dtype: &str) -> Vec<(String, Vec<u8>)> {
    let [train, train_labels, test, test_labels] = keys;
    let mut files = Vec::new();
    for (of, key, labels_key) in [
        (Part::Train, train, train_labels),
        (Part::Test, test, test_labels),
    ] {
        let classes = labels(images, of);
        let item: &[usize] = match order {
            _ if key.ends_with("data") => &[3 * WIDTH * HEIGHT],
            Order::Planes => &[3, HEIGHT, WIDTH],
            Order::Pixels => &[HEIGHT, WIDTH, 3],
        };
        let shape = [&[classes.len()], item].concat();
        files.push((
            format!("{key}.npy"),
            npy("|u1", &shape, &values(images, of, order)),
        ));
        let bytes = dtype[2..].parse::<usize>().unwrap();
        let wide = classes.iter().flat_map(|&class| {
            let mut number = vec![0; bytes];
            let lowest = if dtype.starts_with('>') { bytes - 1 } else { 0 };
            number[lowest] = class;
            number
        });
        let content = npy(dtype, &[classes.len(), 1], &wide.collect::<Vec<_>>());
        files.push((format!("{labels_key}.npy"), content));
    }
    files
}

#[test]
fn folders_and_archives_of_them() {
    let images = images(WIDTH as u32, HEIGHT as u32);
    let root = tempdir().unwrap();
    let files = folder_of(&images);
    let folder = root.path().join("folder");
    write_folder(&folder, &files);
    check(&folder, &images, By::Name);

    // Archives have any order, `./` before names, folders, and files that macOS adds.
    let mut shuffled = files.clone();
    shuffled.reverse();
    shuffled.push(("__MACOSX/train/cat/a.png".into(), vec![0]));
    shuffled.push(("train/cat/._a.png".into(), vec![0]));
    shuffled.push(("train/cat/notes.txt".into(), vec![0]));
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let path = root.path().join("folder.zip");
        fs::write(&path, zip_of(&shuffled, method)).unwrap();
        check(&path, &images, By::Name);
    }
    let names = |path: &Path| {
        let entries = Sources::find(path).unwrap().open().unwrap().entries;
        entries
            .into_iter()
            .map(|entry| entry.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&folder), names(&root.path().join("folder.zip")));

    let long = format!("{}/", "x".repeat(90)).repeat(3);
    let inside = files
        .iter()
        .map(|(path, content)| (format!("{long}{path}"), content.clone()));
    let mut inside = inside.collect::<Vec<_>>();
    inside.insert(0, (format!("{long}train/._a.png"), vec![0]));
    let content = tar_of(&inside);
    for (name, content) in [
        ("folder.tar", content.clone()),
        ("folder.tgz", gzip(&content)),
    ] {
        let path = root.path().join(name);
        fs::write(&path, content).unwrap();
        check(&path, &images, By::Name);
    }
}

#[test]
fn shards_of_webdataset() {
    let images = images(WIDTH as u32, HEIGHT as u32);
    let root = tempdir().unwrap();
    for of in [Part::Train, Part::Test] {
        let own = images.iter().filter(|(.., part)| *part == of);
        for (number, chunk) in own.collect::<Vec<_>>().chunks(4).enumerate() {
            let samples = chunk
                .iter()
                .enumerate()
                .flat_map(|(key, (image, class, _))| {
                    // The folder of a key is no class here.
                    let label = match key % 3 {
                        0 => ("cls", format!("{class}\n")),
                        1 => (
                            "json",
                            format!(r#"{{"text": "an animal", "label": {class}}}"#),
                        ),
                        _ => ("json", format!(r#"{{"class": null, "cls": {class}}}"#)),
                    };
                    [
                        (format!("./a.b/{key:04}.png"), png(image)),
                        (format!("./a.b/{key:04}.{}", label.0), label.1.into_bytes()),
                        (format!("./a.b/{key:04}.txt"), b"an animal".to_vec()),
                    ]
                });
            let content = tar_of(&samples.collect::<Vec<_>>());
            let content = if number == 0 { gzip(&content) } else { content };
            let name = format!("{}-{number:03}.tar", part(of));
            fs::write(root.path().join(name), content).unwrap();
        }
    }
    check(root.path(), &images, By::Number);
}

#[test]
fn arrays_of_numpy() {
    let images = images(WIDTH as u32, HEIGHT as u32);
    let root = tempdir().unwrap();
    let path = root.path().join("images.npz");
    for (order, keys, dtype) in [
        (
            Order::Pixels,
            ["x_train", "y_train", "x_test", "y_test"],
            "<i8",
        ),
        (
            Order::Planes,
            ["train_images", "train_labels", "test_images", "test_labels"],
            "|u1",
        ),
        (
            Order::Planes,
            ["X.train", "Y.train", "X.test", "Y.test"],
            ">i2",
        ),
    ] {
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            fs::write(&path, zip_of(&arrays(&images, order, keys, dtype), method)).unwrap();
            check(&path, &images, By::Number);
        }
    }
    let keys = ["train/images", "train/labels", "test/images", "test/labels"];
    let folder = root.path().join("folder");
    write_folder(&folder, &arrays(&images, Order::Pixels, keys, "<u4"));
    check(&folder, &images, By::Number);

    // A lone array has no labels.
    let pixels = values(&images, Part::Train, Order::Planes);
    let path = root.path().join("animals.npy");
    fs::write(&path, npy("|u1", &[7, 3 * HEIGHT, WIDTH], &pixels)).unwrap();
    let found = read(&path);
    let size = (WIDTH as u32, 3 * HEIGHT as u32);
    for (place, (picture, class, part)) in found.into_iter().enumerate() {
        let grey = picture.as_luma8().unwrap();
        assert_eq!(grey.dimensions(), size);
        assert_eq!(grey.as_raw()[..], pixels[place * 90..][..90]);
        assert_eq!((class, part), (None, None));
    }
}

/// The layout of ImageNet32: several files of rows, whose labels count from 1.
#[test]
fn downsampled_imagenet() {
    let images = images(4, 4);
    let root = tempdir().unwrap();
    for (of, name) in [
        (Part::Train, "train_data_batch_1"),
        (Part::Test, "val_data"),
    ] {
        let labels = labels(&images, of).into_iter();
        let labels = labels.flat_map(|label| (i64::from(label) + 1).to_le_bytes());
        let labels = labels.collect::<Vec<_>>();
        let count = labels.len() / 8;
        let files = [
            (
                "data.npy".to_owned(),
                npy("|u1", &[count, 48], &values(&images, of, Order::Planes)),
            ),
            ("labels.npy".to_owned(), npy("<i8", &[count], &labels)),
            ("mean.npy".to_owned(), npy("<f8", &[1], &[0; 8])),
        ];
        let path = root.path().join(format!("{name}.npz"));
        fs::write(path, zip_of(&files, CompressionMethod::Stored)).unwrap();
    }
    let found = read(root.path());
    let parts = [(Part::Train, Part::Train), (Part::Validation, Part::Test)];
    for (as_found, of) in parts {
        let found = found.iter().filter(|(.., part)| *part == Some(as_found));
        let known = images.iter().filter(|(.., part)| *part == of);
        for ((picture, class, _), (image, known, _)) in found.zip(known) {
            assert_eq!(picture.as_rgb8(), Some(image));
            assert_eq!(*class, Some(Class::Number(*known as u32)));
        }
    }
}

/// The file is that of NumPy 2.4.6:
/// ```python
/// x = (numpy.arange(2 * 6 * 5 * 3) % 251).astype(numpy.uint8).reshape(2, 6, 5, 3)
/// y = numpy.array([2, 0])
/// numpy.savez_compressed(
///     "from-numpy.npz", x_train=x, y_train=y, x_test=x[::-1].copy(), y_test=y[::-1].astype(">u2")
/// )
/// ```
#[test]
fn a_file_of_numpy() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/from-numpy.npz");
    let found = read(Path::new(path));
    let values = |image: usize| (90 * image..).take(90).map(|value| (value % 251) as u8);
    let known = [
        (0, 2, Part::Train),
        (1, 0, Part::Train),
        (1, 0, Part::Test),
        (0, 2, Part::Test),
    ];
    assert_eq!(found.len(), known.len());
    for ((picture, class, part), (image, label, of)) in found.into_iter().zip(known) {
        assert!(
            picture
                .as_rgb8()
                .unwrap()
                .as_raw()
                .iter()
                .copied()
                .eq(values(image))
        );
        assert_eq!((class, part), (Some(Class::Number(label)), Some(of)));
    }
}

#[test]
fn files_of_safetensors() {
    let images = images(WIDTH as u32, HEIGHT as u32);
    let root = tempdir().unwrap();
    for of in [Part::Train, Part::Test] {
        let classes = labels(&images, of);
        let order = if of == Part::Train {
            Order::Planes
        } else {
            Order::Pixels
        };
        let shape = match order {
            Order::Planes => [classes.len(), 3, HEIGHT, WIDTH],
            Order::Pixels => [classes.len(), HEIGHT, WIDTH, 3],
        };
        let wide = classes
            .iter()
            .flat_map(|&class| i64::from(class).to_le_bytes());
        let wide = wide.collect::<Vec<_>>();
        safetensors(
            &root.path().join(format!("{}.safetensors", part(of))),
            &[
                ("images", Dtype::U8, &shape, &values(&images, of, order)),
                ("labels", Dtype::I64, &[classes.len()], &wide),
            ],
        );
    }
    check(root.path(), &images, By::Number);
}

/// Prepared files are safetensors too.
#[test]
fn prepared_files() {
    let images = images(WIDTH as u32, HEIGHT as u32);
    let root = tempdir().unwrap();
    let folder = root.path().join("folder");
    write_folder(&folder, &folder_of(&images));
    let cache = root.path().join("cache");
    prepare(
        "train",
        &folder,
        &Preparation::default(),
        &cache,
        &mut |_| {},
    )
    .unwrap();
    check(&cache, &images, By::Number);
    let names = Sources::find(&cache).unwrap().open().unwrap().class_names;
    assert_eq!(names.unwrap(), CLASSES);
}

#[test]
fn idx_of_any_size() {
    let images = images(WIDTH as u32, HEIGHT as u32);
    for (item, order) in [
        ([HEIGHT, WIDTH, 3], Order::Pixels),
        ([3, HEIGHT, WIDTH], Order::Planes),
    ] {
        let root = tempdir().unwrap();
        write_idx(root.path(), &images, &item, order);
        check(root.path(), &images, By::Number);
    }
}

#[test]
fn records_of_cifar() {
    let images = images(32, 32);
    for (names, lead, classes) in [
        (
            ["data_batch_1.bin", "test_batch.bin", "batches.meta.txt"],
            1,
            10,
        ),
        (["train.bin", "test.bin", "fine_label_names.txt"], 2, 100),
    ] {
        let root = tempdir().unwrap();
        for (of, name) in [(Part::Train, names[0]), (Part::Test, names[1])] {
            let pixels = values(&images, of, Order::Planes);
            let records = labels(&images, of).into_iter().zip(pixels.chunks(3072));
            let records = records
                .flat_map(|(label, pixels)| [&vec![7; lead - 1][..], &[label], pixels].concat());
            fs::write(root.path().join(name), records.collect::<Vec<_>>()).unwrap();
        }
        check(root.path(), &images, By::Number);
        let names_of_classes = (0..classes).map(|class| format!("class {class}"));
        let names_of_classes = names_of_classes.collect::<Vec<_>>();
        fs::write(
            root.path().join(names[2]),
            names_of_classes.join("\n") + "\n\n",
        )
        .unwrap();
        let found = Sources::find(root.path()).unwrap().open().unwrap();
        assert_eq!(found.class_names, Some(names_of_classes));
    }
}
