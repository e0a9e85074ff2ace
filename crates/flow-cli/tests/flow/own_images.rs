//! Trainings on images of one's own, and the commands that find the same data again.

use std::fs;

use image::{DynamicImage, GrayImage, Luma, Rgb, RgbImage, Rgba, RgbaImage};

use crate::{
    sandbox::{Report, Sandbox, header, tensors},
    survival::{EACH_STEP, TINY},
};

/// The options of a training that takes a second.
const SMALL: &str = "--size 8 --classes --max-steps 6";

impl Sandbox {
    /// Writes pictures of three classes, of many sizes, color types and formats, into folders.
    pub(crate) fn write_pictures(&self, folder: &str, count: u32) {
        for (class, name) in ["cat", "dog", "Größe 3"].into_iter().enumerate() {
            fs::create_dir_all(self.path(folder).join(name)).unwrap();
            for i in 0..count {
                let (width, height) = [(12, 9), (8, 8), (20, 31)][i as usize % 3];
                let at = |x: u32, y: u32| (x * 7 * (class as u32 + 1) + y * 11 + i * 13) as u8;
                let (picture, ending) = match i % 4 {
                    0 => (
                        DynamicImage::from(GrayImage::from_fn(width, height, |x, y| {
                            Luma([at(x, y)])
                        })),
                        "png",
                    ),
                    1 => (
                        RgbaImage::from_fn(width, height, |x, y| {
                            Rgba([at(x, y), 9, 200, (x * 20) as u8])
                        })
                        .into(),
                        "webp",
                    ),
                    2 => (
                        RgbImage::from_fn(width, height, |x, y| Rgb([at(x, y), at(y, x), 0]))
                            .into(),
                        "bmp",
                    ),
                    _ => (
                        RgbImage::from_fn(width, height, |x, y| Rgb([at(x, y), 0, at(y, x)]))
                            .into(),
                        "jpg",
                    ),
                };
                picture
                    .save(self.path(folder).join(name).join(format!("{i} é.{ending}")))
                    .unwrap();
            }
        }
    }
}

#[test]
fn a_folder_trains_and_is_found_again() {
    let sandbox = Sandbox::new();
    sandbox.write_pictures("my pets", 12);
    let mut train = sandbox.flow(&format!("train {TINY} {SMALL} --out run --dataset"));
    let report = Report::of(train.arg("my pets")).succeeded();
    assert!(
        report.stderr.contains("test images of 3×8×8"),
        "{}",
        report.stderr
    );

    let header = header(&sandbox.read("run/model.safetensors"));
    assert_eq!(header["dataset"], "my pets");
    let data = &header["data"];
    assert_eq!(
        data["classes"],
        serde_json::json!(["Größe 3", "cat", "dog"])
    );
    assert_eq!(data["fitting"]["fit"], "crop");

    // From another folder, too.
    fs::create_dir(sandbox.path("elsewhere")).unwrap();
    let of_model = "--checkpoint ../run/model.safetensors";
    for command in [
        "eval --json",
        "sample --class dog --count 2",
        "cluster --components 2",
        "edit --attribute brightness --index 0",
        "edit --attribute cat:dog --index 0,1",
        "interpolate --from 0 --to 1",
        "outliers --rank 2 --out ranks.png",
        "encode --out latents.safetensors",
        "verify",
    ] {
        let words = match command {
            "verify" => "verify ../run/model.safetensors --limit 2".to_owned(),
            _ => format!("{command} {of_model}"),
        };
        let mut flow = sandbox.flow(&words);
        flow.current_dir(sandbox.path("elsewhere"));
        let report = Report::of(&mut flow);
        // Whether so small a training is sound is not the question.
        assert!(
            command == "verify" || report.status == Some(0),
            "{report:#?}"
        );
        assert!(!report.stderr.contains("error: "), "{report:#?}");
    }
    let error = sandbox.refused("sample --class bird --checkpoint run/model.safetensors");
    assert!(error.contains("(0 Größe 3, 1 cat, 2 dog)"), "{error}");
}

#[test]
fn other_images_at_the_same_place_are_refused_unless_named() {
    let sandbox = Sandbox::new();
    sandbox.write_pictures("pets", 8);
    sandbox.ok(&format!("train {TINY} {SMALL} --dataset pets --out run"));
    let eval = "eval --checkpoint run/model.safetensors";
    sandbox.ok(eval);
    fs::remove_file(sandbox.path("pets/cat/1 é.webp")).unwrap();
    let error = sandbox.refused(eval);
    assert!(
        error.contains("other images than those the model was trained on"),
        "{error}"
    );
    let error = sandbox.refused("train --resume --out run");
    assert!(error.contains("begun on"), "{error}");
    sandbox.ok(&format!("{eval} --dataset pets"));
    fs::remove_dir_all(sandbox.path("pets")).unwrap();
    let error = sandbox.refused(eval);
    assert!(
        error.contains("pets") && error.contains("not there"),
        "{error}"
    );

    // A model with classes cannot judge those of others.
    sandbox.write_pictures("zoo", 8);
    fs::rename(sandbox.path("zoo/cat"), sandbox.path("zoo/ape")).unwrap();
    let error = sandbox.refused(&format!("{eval} --dataset zoo"));
    assert!(
        error.contains("the classes of `zoo` are Größe 3, ape, dog"),
        "{error}"
    );
}

#[test]
fn a_training_on_a_folder_resumes_bit_for_bit() {
    let sandbox = Sandbox::new();
    sandbox.write_pictures("pets", 10);
    let options =
        format!("{TINY} --size 8 --flip --mutate 0.1 --classes --epochs 4 --dataset pets");
    sandbox.ok(&format!("train --out whole {options}"));
    let part = format!("train --out part {options} {EACH_STEP}");
    let mut child = sandbox.begin("part", 2, &mut sandbox.flow(&part));
    child.kill().unwrap();
    child.wait().unwrap();
    // Prepared again, it is the same.
    fs::remove_dir_all(sandbox.path("data")).unwrap();
    sandbox.ok("train --out part --resume");
    for file in ["model.safetensors", "training.safetensors"] {
        let [whole, part] = ["whole", "part"].map(|run| sandbox.read(&format!("{run}/{file}")));
        assert!(tensors(&whole) == tensors(&part), "{file}");
    }
}

#[test]
fn sizes_get_to_those_that_levels_halve() {
    let sandbox = Sandbox::new();
    sandbox.write_pictures("pets", 10);
    let train = |words: &str| {
        let options = "--steps 1 --width 8 --dequantization uniform --batch-size 8 --max-steps 2";
        let words = format!("train {options} {words} --dataset pets --overwrite --out run");
        sandbox.run(&words).succeeded().stderr
    };
    let said = train("--size 13x10 --levels 2");
    assert!(
        said.contains("13×10 pixels") && said.contains("12×12"),
        "{said}"
    );
    let image = &header(&sandbox.read("run/model.safetensors"))["model"]["image"];
    assert_eq!(
        (&image["height"], &image["width"]),
        (&12.into(), &12.into())
    );
    sandbox.ok("eval --checkpoint run/model.safetensors");
    sandbox.ok("sample --count 2 --checkpoint run/model.safetensors");
    sandbox.ok("density pets --checkpoint run/model.safetensors");

    // Rectangles stay what they are.
    train("--size 16x8 --levels 2 --color grey");
    let image = &header(&sandbox.read("run/model.safetensors"))["model"]["image"];
    assert_eq!((&image["height"], &image["width"]), (&8.into(), &16.into()));
}

#[test]
fn bad_collections_are_named() {
    let sandbox = Sandbox::new();
    sandbox.write_pictures("pets", 9);
    let train =
        |words: &str| format!("train {TINY} --size 8 --max-steps 2 --overwrite --out run {words}");
    let refused = |words: &str, expected: &[&str]| {
        let error = sandbox.refused(&train(words));
        assert!(expected.iter().all(|part| error.contains(part)), "{error}");
        assert!(!sandbox.path("run").exists(), "{words}");
    };
    sandbox.write("pets/cat/broken.png", "no picture");
    refused("--dataset pets", &["cat/broken.png", "--skip-damaged"]);
    let said = sandbox
        .run(&train("--dataset pets --skip-damaged"))
        .succeeded()
        .stderr;
    assert!(said.contains("1 cannot be read"), "{said}");
    fs::remove_dir_all(sandbox.path("run")).unwrap();
    fs::remove_file(sandbox.path("pets/cat/broken.png")).unwrap();

    fs::copy(
        sandbox.path("pets/cat/0 é.png"),
        sandbox.path("pets/alone.png"),
    )
    .unwrap();
    refused("--dataset pets", &["alone.png", "no class"]);
    fs::remove_file(sandbox.path("pets/alone.png")).unwrap();

    refused("--dataset mnist", &["`--size` is for images of your own"]);
    refused(
        "--dataset hub:someone/something",
        &["flow fetch hub:someone/something"],
    );
    fs::create_dir(sandbox.path("empty")).unwrap();
    refused("--dataset empty", &["`empty`", "holds no images"]);
    sandbox.write("notes.txt", "no data");
    refused("--dataset notes.txt", &["`notes.txt`", "no data set"]);

    sandbox.write_pictures("two/train", 3);
    sandbox.write_pictures("two/test", 3);
    fs::rename(sandbox.path("two/test/cat"), sandbox.path("two/test/ape")).unwrap();
    refused("--dataset two", &["ape", "no training image"]);

    let error = sandbox.run(&train("--dataset pest")).refused(2);
    assert!(error.contains("there is no such path"), "{error}");
    for wrong in [
        "--size 0",
        "--size 8x",
        "--fit zoom",
        "--color blue",
        "--test-share 1",
    ] {
        let words = format!("train {TINY} --dataset pets --out run {wrong}");
        let error = sandbox.run(&words).refused(2);
        assert!(error.contains("invalid value"), "{error}");
    }
}

/// Images that are all called training images are split as those without a name are.
#[test]
fn training_images_alone_are_split_by_their_names() {
    let sandbox = Sandbox::new();
    sandbox.write_pictures("pets/train", 9);
    let said = sandbox
        .run(&format!(
            "train {TINY} {SMALL} --dataset pets --test-share 0.3 --out run"
        ))
        .succeeded()
        .stderr;
    assert!(said.contains(" test images of 3×8×8"), "{said}");
}

/// Nobody would find out that a training took the array in place of the pictures.
#[test]
fn files_of_two_kinds_are_refused() {
    let sandbox = Sandbox::new();
    sandbox.write_pictures("pets", 4);
    sandbox.write("pets/features.npy", "");
    let error = sandbox.refused(&format!("train {TINY} {SMALL} --dataset pets --out run"));
    assert!(
        error.contains("features.npy") && error.contains("is of another kind than"),
        "{error}"
    );
}
