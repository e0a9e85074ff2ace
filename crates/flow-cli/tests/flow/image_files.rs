//! Image files and folders of them, by the real binary: which are read, which way up, and what is
//! said of those that cannot be read.

use std::{fs, os::unix::fs::symlink};

use flow_glow::{GlowConfig, ImageShape};
use flow_testing::turned::{HEIGHT, WIDTH, exif, stored, upright, with_app1, with_chunk};
use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage};

use crate::sandbox::{Report, Sandbox};

impl Sandbox {
    /// A folder with a model of grey images of 24×16 pixels.
    fn with_grey_model() -> Self {
        let image = ImageShape::new(1, HEIGHT as usize, WIDTH as usize);
        Self::with_model(&GlowConfig {
            steps: 2,
            width: 6,
            ..GlowConfig::small(image)
        })
    }

    /// The log-likelihood of a file, as it is printed.
    #[track_caller]
    fn density(&self, file: &str) -> String {
        let table = self.of_model(&format!("density {file}"));
        cells(&table, 1).remove(0)
    }
}

/// Status, stdout and stderr of a command with the model.
fn status_and_texts(sandbox: &Sandbox, words: &str) -> (Option<i32>, String, String) {
    let Report {
        status,
        stdout,
        stderr,
        ..
    } = sandbox.run(&format!("{words} --checkpoint model.safetensors"));
    (status, stdout, stderr)
}

/// A column of a table, without its heading.
fn cells(table: &str, column: usize) -> Vec<String> {
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let rows = reader.records().map(Result::unwrap);
    rows.map(|row| row[column].to_owned()).collect()
}

fn encoded(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

#[test]
fn pictures_are_turned_as_their_exif_says() {
    let sandbox = Sandbox::with_grey_model();
    sandbox.write("upright.png", encoded(upright(), ImageFormat::Png));
    sandbox.write("upright.jpg", encoded(upright(), ImageFormat::Jpeg));
    let expected = ["png", "jpg"].map(|kind| sandbox.density(&format!("upright.{kind}")));
    // Otherwise turning would make no difference.
    let sides = [2, 3, 4].map(stored);
    for (i, side) in sides.iter().enumerate() {
        sandbox.write("side.png", encoded(side.clone(), ImageFormat::Png));
        assert_ne!(sandbox.density("side.png"), expected[0], "{i}");
    }
    for orientation in 1..=8 {
        let (png, jpeg) = (
            encoded(stored(orientation), ImageFormat::Png),
            encoded(stored(orientation), ImageFormat::Jpeg),
        );
        for big_endian in [false, true] {
            let exif = exif(orientation, big_endian);
            sandbox.write("turned/1.jpg", with_app1(&jpeg, &exif));
            sandbox.write("turned/2.png", with_chunk(&png, &exif, false));
            sandbox.write("turned/3.png", with_chunk(&png, &exif, true));
            let prefixed = [b"Exif\0\0", &exif[..]].concat();
            sandbox.write("turned/4.png", with_chunk(&png, &prefixed, false));
            let found = cells(&sandbox.of_model("density turned"), 1);
            let [png, jpeg] = expected.each_ref();
            let expected = [jpeg, png, png, png];
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{orientation}");
        }
    }
}

/// Every command that takes image files opens them in the same way.
#[test]
fn all_commands_see_the_same_picture() {
    let sandbox = Sandbox::with_grey_model();
    let turned = with_chunk(&encoded(stored(6), ImageFormat::Png), &exif(6, true), false);
    let other = GrayImage::from_pixel(WIDTH, HEIGHT, Luma([30]));
    let color = RgbImage::from_pixel(WIDTH, HEIGHT, Rgb([68, 32, 130]));
    let grey = GrayImage::from_pixel(WIDTH, HEIGHT, Luma([54]));
    let a = encoded(upright(), ImageFormat::Png);
    let grey = encoded(grey, ImageFormat::Png);
    let color = encoded(color, ImageFormat::Png);
    let results = [("upright", a, grey), ("turned", turned, color)].map(|(folder, a, c)| {
        let write = |name: &str, content: &[u8]| {
            sandbox.write(&format!("{folder}/{name}"), content);
        };
        write("table.csv", b"file,smile\na.png,1\nb.png,0\nc.png,1\n");
        write("a.png", &a);
        write("b.png", &encoded(other.clone(), ImageFormat::Png));
        write("c.png", &c);
        for command in [
            format!("interpolate --images {folder}/a.png {folder}/c.png --out out/1.png"),
            format!(
                "edit --attribute smile --labels {folder}/table.csv --images {folder}/a.png {folder}/c.png \
                 --out out/2.png"
            ),
            format!("encode --input {folder}/a.png --out out/3.safetensors"),
            format!("encode --input {folder}/c.png --out out/4.safetensors"),
        ] {
            fs::create_dir_all(sandbox.path("out")).unwrap();
            sandbox.of_model(&command);
        }
        let files = ["1.png", "2.png", "3.safetensors", "4.safetensors"];
        let files = files.map(|name| sandbox.read(&format!("out/{name}")));
        let densities = cells(&sandbox.of_model(&format!("density {folder}")), 1);
        let ranked = sandbox.of_model(&format!("outliers --rank 3 --json {folder}"));
        (files, densities, ranked.replace(folder, ""))
    });
    assert!(results[0] == results[1]);
}

/// Colors with their grey by Pillow 13.
#[test]
fn colors_become_the_grey_of_pillow() {
    let known = [
        ([255, 0, 0], 76),
        ([0, 255, 0], 150),
        ([0, 0, 255], 29),
        ([200, 100, 50], 124),
        ([12, 250, 99], 162),
        ([241, 194, 107], 198),
        ([52, 162, 15], 112),
        ([195, 110, 216], 147),
    ];
    let sandbox = Sandbox::with_grey_model();
    let at = |x: u32, y: u32| known[((x + y * WIDTH) % 8) as usize];
    let color = RgbImage::from_fn(WIDTH, HEIGHT, |x, y| Rgb(at(x, y).0));
    let grey = GrayImage::from_fn(WIDTH, HEIGHT, |x, y| Luma([at(x, y).1]));
    color.save(sandbox.path("color.png")).unwrap();
    grey.save(sandbox.path("grey.png")).unwrap();
    assert_eq!(sandbox.density("color.png"), sandbox.density("grey.png"));
}

/// A folder as people have them: hidden files of the system, links, broken files, folders in it.
#[test]
fn folders_are_searched_and_what_is_broken_is_named() {
    let sandbox = Sandbox::with_grey_model();
    let good = encoded(upright(), ImageFormat::Png);
    for name in ["b.png", "a/2.png", "a/1.PNG", "c/deep/4.jpg", ".hidden.png"] {
        sandbox.write(&format!("mine/{name}"), &good);
    }
    sandbox.write("mine/._b.png", b"\0\x05\x16\x07 of another system");
    sandbox.write("mine/.DS_Store", "");
    sandbox.write("mine/.cache/5.png", &good);
    sandbox.write("mine/labels.csv", "file,smile\n");
    sandbox.write("mine/a/empty.png", "");
    sandbox.write("mine/broken.png", &good[..good.len() / 2]);
    // With a thumbnail that has an end of its own.
    let jpeg = encoded(upright(), ImageFormat::Jpeg);
    let jpeg = with_app1(&jpeg, &jpeg);
    sandbox.write("cut/whole.jpg", &jpeg);
    sandbox.write("mine/cut.jpg", &jpeg[..jpeg.len() - 20]);
    symlink("nowhere.png", sandbox.path("mine/gone.png")).unwrap();
    symlink("nowhere", sandbox.path("mine/latest")).unwrap();
    symlink("nowhere.png", sandbox.path("mine/.gone.png")).unwrap();
    symlink("..", sandbox.path("mine/c/up")).unwrap();
    symlink("itself.png", sandbox.path("mine/itself.png")).unwrap();

    let (status, table, messages) = status_and_texts(&sandbox, "density mine");
    assert_eq!(status, Some(1), "{messages}");
    let measured = ["a/1.PNG", "a/2.png", "b.png", "c/deep/4.jpg"];
    let measured = measured.map(|name| format!("mine/{name}"));
    assert_eq!(cells(&table, 0), measured);
    let alone = sandbox.density("mine/.hidden.png");
    sandbox.density("cut/whole.jpg");
    assert!(cells(&table, 1).iter().all(|cell| *cell == alone));
    let messages: Vec<_> = messages.lines().collect();
    let expected = [
        "files in `mine` that are no images by name, and are left out: 1",
        "warning: cannot read `mine/a/empty.png`: it is empty",
        "warning: cannot read `mine/broken.png`: ",
        "warning: cannot read `mine/cut.jpg`: it is cut off",
        "warning: cannot read `mine/gone.png`: it is a link to a file that is not there",
        "warning: cannot read `mine/itself.png`: ",
        "error: 5 of 9 image files could not be read",
    ];
    assert_eq!(messages.len(), expected.len(), "{messages:?}");
    for (message, expected) in messages.iter().zip(expected) {
        assert!(message.starts_with(expected), "{message}");
    }

    let (status, ranking, messages) = status_and_texts(&sandbox, "outliers --rank 9 --json mine");
    assert_eq!(status, Some(1), "{messages}");
    let ranking: serde_json::Value = serde_json::from_str(&ranking).unwrap();
    assert_eq!(ranking["images"], 4);
    assert!(messages.contains("error: 5 of 9 image files"), "{messages}");
}

/// Files that are named are treated alike, and nothing is printed if none can be read.
#[test]
fn files_that_cannot_be_read_are_passed_over() {
    let sandbox = Sandbox::with_grey_model();
    sandbox.write("good.png", encoded(upright(), ImageFormat::Png));
    sandbox.write("sub/text.png", "no image");
    sandbox.write("sub/empty.png", "");
    let (status, table, messages) = status_and_texts(&sandbox, "density gone.png good.png sub");
    assert_eq!(status, Some(1));
    assert_eq!(cells(&table, 0), ["good.png"]);
    for name in ["gone.png", "sub/text.png", "sub/empty.png"] {
        let warning = format!("warning: cannot read `{name}`: ");
        assert!(messages.contains(&warning), "{messages}");
    }
    assert!(messages.contains("error: 3 of 4 image files"), "{messages}");

    let (status, table, messages) = status_and_texts(&sandbox, "density sub");
    assert_eq!((status, &*table), (Some(1), ""));
    let last = messages.lines().last();
    assert_eq!(last, Some("error: none of the 2 image files can be read"));
}
