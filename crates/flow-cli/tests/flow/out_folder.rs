//! `flow sample --out-folder`: a file for each image.

use std::fs;

use flow_glow::ImageShape;
use image::ColorType;

use crate::sandbox::{Sandbox, header, pixels, with_header};

impl Sandbox {
    /// The names of the files in a folder, sorted.
    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    #[track_caller]
    fn sample_fails(&self, options: &str, reason: &str) {
        let before = self.names("");
        let error = self.refused(&format!("sample {options} --checkpoint model.safetensors"));
        assert!(error.contains(reason), "{error}");
        assert_eq!(error.trim_end().lines().count(), 1, "{error}");
        assert_eq!(before, self.names(""));
    }
}

#[test]
fn every_image_has_its_file() {
    for (channels, color) in [(1, ColorType::L8), (3, ColorType::Rgb8)] {
        let sandbox = Sandbox::with_small_model(ImageShape::new(channels, 8, 8), None);
        // Of the images that stand in one picture and in a file of tensors.
        sandbox.of_model("sample --temperature 0,1 --count 2 --out-folder new --out-tensor x.npz");
        assert!(!sandbox.path("samples.png").exists());
        let names = ["000.png", "001.png", "002.png", "003.png"];
        assert_eq!(sandbox.names("new"), names);
        let images = flow_data::numpy::read(&sandbox.path("x.npz")).unwrap()["x"].clone();
        for (image, name) in names.into_iter().enumerate() {
            let picture = image::open(sandbox.path("new").join(name)).unwrap();
            assert_eq!((picture.width(), picture.height()), (8, 8));
            assert_eq!(picture.color(), color);
            let last = images.get(image).unwrap().permute((1, 2, 0)).unwrap();
            assert_eq!(picture.as_bytes(), pixels(&last));
        }
        // An empty folder is as good, and a grid may stand beside it.
        fs::create_dir(sandbox.path("empty")).unwrap();
        sandbox.of_model("sample --count 1001 --out-folder empty --out grid.png");
        assert!(sandbox.path("grid.png").exists());
        let names = sandbox.names("empty");
        assert_eq!(
            (names.len(), &*names[0], &*names[1000]),
            (1001, "0000.png", "1000.png")
        );
        // What was written is what other commands take.
        sandbox.of_model("encode --input new --out z.safetensors");
    }
}

#[test]
fn names_begin_with_classes() {
    let sandbox = Sandbox::with_small_model(ImageShape::new(1, 8, 8), Some(10));
    sandbox.of_model("sample --count 3 --out-folder numbers");
    assert_eq!(
        sandbox.names("numbers"),
        ["0-000.png", "1-001.png", "2-002.png"]
    );
    let checkpoint = sandbox.read("model.safetensors");
    let mut clothes = header(&checkpoint);
    clothes["dataset"] = "fashion-mnist".into();
    sandbox.write("model.safetensors", with_header(&checkpoint, &clothes));
    sandbox.of_model("sample --class trouser --count 2 --out-folder trousers");
    assert_eq!(
        sandbox.names("trousers"),
        ["trouser-000.png", "trouser-001.png"]
    );
}

#[test]
fn folders_with_something_in_them_stay_as_they_are() {
    let sandbox = Sandbox::with_small_model(ImageShape::new(1, 8, 8), None);
    sandbox.write("full/000.png", "mine");
    sandbox.sample_fails("--out-folder full", "the folder `full` is not empty");
    assert_eq!(sandbox.read("full/000.png"), b"mine");
    sandbox.sample_fails("--out-folder full/000.png", "is not a folder");
    sandbox.sample_fails("--out-folder none/new", "cannot make the folder `none/new`");
    // Later faults remove the folder that was made.
    sandbox.sample_fails("--out-folder new --out a.bmp", "cannot write `a.bmp`");
    sandbox.sample_fails(
        "--out-folder new --count 9000 --temperature 0,1",
        "more than 10000",
    );
    let words = "sample --animate walk --out-folder new --checkpoint model.safetensors";
    assert!(
        sandbox
            .run(words)
            .refused(2)
            .contains("cannot be used with")
    );
}
