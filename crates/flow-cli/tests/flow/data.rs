//! `flow data` by the real binary, on folders with every fault.

use image::{DynamicImage, GrayImage, RgbImage};
use serde_json::json;

use crate::sandbox::{Report, Sandbox};

/// A picture of four bits a value, of which all 16 occur.
fn picture(seed: u32, width: u32, height: u32) -> RgbImage {
    let value = |place| ((seed + place) % 16 * 17) as u8;
    RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([value(x), value(y + 5 * seed), value(x + 3 * y)])
    })
}

fn grey(seed: u32) -> GrayImage {
    GrayImage::from_fn(16, 16, |x, y| {
        image::Luma([((x * y + seed) % 16 * 17) as u8])
    })
}

impl Sandbox {
    /// A folder of nine pictures that can be read, of two sizes, and of two that cannot.
    fn with_photos() -> Self {
        let sandbox = Self::new();
        let save = |name: &str, picture: DynamicImage| {
            let path = sandbox.path(&format!("my photos/{name}"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            picture.save(path).unwrap();
        };
        for seed in 0..4 {
            save(
                &format!("train/cat/{seed}.png"),
                picture(seed, 24, 16).into(),
            );
        }
        for seed in 4..7 {
            save(&format!("train/dog/{seed}.png"), grey(seed).into());
        }
        save("train/dog/again.bmp", grey(5).into());
        // Grey that is saved in colors.
        save(
            "test/dog/leak.png",
            DynamicImage::from(grey(6)).into_rgb8().into(),
        );
        save("test/cat/9.png", picture(9, 24, 16).into());
        let whole = sandbox.read("my photos/train/cat/0.png");
        sandbox.write("my photos/train/cat/cut.png", &whole[..whole.len() / 2]);
        sandbox.write("my photos/test/dog/text.jpg", "no picture");
        sandbox
    }

    fn data(&self, words: &[&str]) -> String {
        let mut flow = self.flow("data");
        Report::of(flow.arg("my photos").args(words))
            .succeeded()
            .stdout
    }
}

#[test]
fn faults_of_a_folder_are_found() {
    let sandbox = Sandbox::with_photos();
    let found: serde_json::Value = serde_json::from_str(&sandbox.data(&["--json"])).unwrap();
    let expected = json!({
        "dataset": "my photos",
        "kind": "12 image files",
        "images": 12,
        "sizes": [
            {"width": 24, "height": 16, "images": 6},
            {"width": 16, "height": 16, "images": 5},
        ],
        // Six RGB files, of which one is cut off, grey in RGB, and a BMP file, which has a palette.
        "colored": 8,
        "with_alpha": 0,
        "beyond_8_bits": 0,
        "values": 16,
        "bits": 4,
        "classes": [{"name": "cat", "images": 6}, {"name": "dog", "images": 6}],
        "damaged": [
            {"image": "test/dog/text.jpg", "reason": "it is no picture of a known format"},
            {"image": "train/cat/cut.png", "reason": "it is cut off"},
        ],
        "duplicates": {
            "pairs": [
                ["test/dog/leak.png", "train/dog/6.png"],
                ["train/dog/5.png", "train/dog/again.bmp"],
            ],
            "across_splits": [["train/dog/6.png", "test/dog/leak.png"]],
        },
        "training": {
            "refused": "cannot read the image `test/dog/text.jpg`: it is no picture of a known \
                        format; `--skip-damaged` leaves out what cannot be read",
            "train_images": 8,
            "test_images": 2,
            "is_split": true,
            "shape": [3, 16, 16],
            "canvas": [3, 16, 16],
            "fit": "crop",
            "background": [255, 255, 255],
            "cache": {"folder": "data/cache", "bytes": 10 * 3 * 16 * 16},
        },
    });
    assert_eq!(found, expected);
    assert!(!sandbox.path("data").exists());
}

#[test]
fn a_table_tells_what_a_training_takes() {
    let sandbox = Sandbox::with_photos();
    let words = ["--skip-damaged", "--out", "sheet.png"];
    insta::assert_snapshot!(sandbox.data(&words));
    // Two rows; that of cats has five images, and so has that of dogs.
    let sheet = image::open(sandbox.path("sheet.png")).unwrap().into_rgb8();
    let tile = 16 * 7 + 4;
    assert_eq!(sheet.dimensions(), (5 * tile + 4, 2 * tile + 4));
    // The same words, the same training.
    let train = "train --levels 1 --steps 1 --width 8 --batch-size 4 --max-steps 1 --skip-damaged";
    let mut train = sandbox.flow(train);
    let train = Report::of(train.args(["--dataset", "my photos"])).succeeded();
    let told = "my photos: 8 train and 2 test images of 3×16×16";
    assert!(train.stderr.contains(told), "{train:#?}");
}

#[test]
fn published_data_sets_are_looked_at_like_others() {
    let sandbox = Sandbox::with_digits();
    let found = sandbox.json("data mnist --json");
    assert_eq!(found["kind"], "published data set");
    assert_eq!(
        found["sizes"],
        json!([{"width": 28, "height": 28, "images": 404}])
    );
    assert_eq!(found["classes"][3]["name"], "3");
    assert_eq!(found["training"]["train_images"], 384);
    assert_eq!(found["training"]["shape"], json!([1, 28, 28]));
    assert_eq!(found["training"]["refused"], json!(null));
    let error = sandbox.refused("data mnist --size 32");
    assert!(
        error.contains("`--size` is for images of your own"),
        "{error}"
    );
}
