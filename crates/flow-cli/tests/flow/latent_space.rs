//! `interpolate`, `edit`, `cluster` and what `sample` can do beside one grid, by the real binary on
//! real digits.

use std::{fs, path::PathBuf};

use flow_data::Split;
use flow_glow::{GlowConfig, ImageShape};
use image::AnimationDecoder;
use serde_json::Value;

use crate::sandbox::{Sandbox, digit, metrics, pixels};

/// A small model of digits.
fn config(classes: Option<usize>) -> GlowConfig {
    GlowConfig {
        steps: 2,
        width: 6,
        classes,
        ..GlowConfig::small(ImageShape::new(1, 28, 28))
    }
}

impl Sandbox {
    /// A folder with a small model of digits.
    fn with_digit_model(classes: Option<usize>) -> Self {
        Self::with_model(&config(classes))
    }

    /// stdout of a command with this model, whose images must come back exactly.
    #[track_caller]
    fn exact(&self, words: &str) -> String {
        let command = format!("{words} --checkpoint model.safetensors");
        let report = self.run(&command).succeeded();
        assert!(!report.stderr.contains("warning"), "{report:#?}");
        report.stdout
    }

    /// The pixels of an image in a grid, by row and column.
    fn tile(&self, name: &str, row: u32, column: u32) -> Vec<u8> {
        let grid = image::open(self.path(name)).unwrap().to_luma8();
        let pixel = |i: u32| {
            let (x, y) = (column * 116 + 4 + i % 28 * 4, row * 116 + 4 + i / 28 * 4);
            grid.get_pixel(x, y).0[0]
        };
        (0..28 * 28).map(pixel).collect()
    }

    /// Columns and rows of a grid.
    fn size(&self, name: &str) -> (u32, u32) {
        let (width, height) = image::image_dimensions(self.path(name)).unwrap();
        ((width - 4) / 116, (height - 4) / 116)
    }
}

#[test]
fn a_row_begins_and_ends_with_its_images() {
    for classes in [None, Some(10)] {
        let sandbox = Sandbox::with_digit_model(classes);
        for shape in ["", " --spherical"] {
            sandbox.exact(&format!(
                "interpolate --from 3,8,1999 --to 4,0,77 --steps 5{shape} --out rows.png"
            ));
            assert_eq!(sandbox.size("rows.png"), (5, 3));
            for (row, (from, to)) in [(3, 4), (8, 0), (1999, 77)].into_iter().enumerate() {
                let row = row as u32;
                assert_eq!(sandbox.tile("rows.png", row, 0), digit(Split::Test, from));
                assert_eq!(sandbox.tile("rows.png", row, 4), digit(Split::Test, to));
                assert_ne!(sandbox.tile("rows.png", row, 2), digit(Split::Test, from));
            }
        }
    }
}

/// Random steps one after the other make an inverse that loses digits, and at last all of them.
#[test]
fn where_single_precision_is_not_enough_double_is_used_and_its_limits_are_told() {
    let sandbox = Sandbox::with_digit_model(None);
    let interpolate = |levels: usize, steps: usize, spread: f64| {
        let config = GlowConfig {
            levels,
            steps,
            ..config(None)
        };
        sandbox.write_model("model.safetensors", &config, spread);
        let ends = "--from 3,8 --to 4,0 --steps 3 --out rows.png";
        let command = format!("interpolate --checkpoint model.safetensors {ends}");
        let stderr = sandbox.run(&command).succeeded().stderr;
        assert!(stderr.contains("going on in double"), "{stderr}");
        let ends = [(0, 0, 3), (0, 2, 4), (1, 0, 8), (1, 2, 0)];
        let lost = ends.into_iter().filter(|&(row, column, index)| {
            sandbox.tile("rows.png", row, column) != digit(Split::Test, index)
        });
        (
            stderr.matches("does not come back exactly").count(),
            lost.count(),
        )
    };
    assert_eq!(interpolate(2, 4, 0.05), (0, 0));
    let (told, lost) = interpolate(1, 24, 0.1);
    assert!(told == lost && lost > 0, "{told} {lost}");
}

#[test]
fn files_are_the_ends_of_rows_in_pairs() {
    let sandbox = Sandbox::with_digit_model(None);
    for (name, index) in [("a.png", 5), ("b.png", 6), ("c.png", 7), ("d.png", 8)] {
        sandbox.write_picture(name, digit(Split::Train, index));
    }
    sandbox.exact("interpolate --images a.png b.png c.png d.png --steps 2 --out rows.png");
    for (i, index) in (5..9).enumerate() {
        let tile = sandbox.tile("rows.png", i as u32 / 2, i as u32 % 2);
        assert_eq!(tile, digit(Split::Train, index));
    }
}

#[test]
fn an_edit_of_strength_0_gives_the_image_back() {
    let sandbox = Sandbox::with_digit_model(None);
    for index in [10, 11, 12, 13] {
        sandbox.write_picture(&format!("{index}.png"), digit(Split::Train, index));
    }
    let files =
        "file,lovely,score\n../10.png,1,0.5\n../11.png,0,0.1\n../12.png,,0.9\n../13.png,0,2\n";
    sandbox.write("folder/files.csv", files);
    sandbox.write("index.csv", "index, slant\n0, 1\n9999, 0\n");
    for attribute in [
        "thickness",
        "slant",
        "width",
        "brightness",
        "4:9",
        "lovely --labels folder/files.csv",
        "score --labels folder/files.csv",
        "slant --labels index.csv",
    ] {
        sandbox.exact(&format!(
            "edit --attribute {attribute} --index 2,30 --strength -1..1 --steps 3 --examples 300 --out edit.png"
        ));
        assert_eq!(sandbox.size("edit.png"), (3, 2));
        for (row, index) in [(0, 2), (1, 30)] {
            let image = digit(Split::Test, index);
            assert_eq!(sandbox.tile("edit.png", row, 1), image, "{attribute}");
            assert_ne!(sandbox.tile("edit.png", row, 0), image, "{attribute}");
            assert_ne!(sandbox.tile("edit.png", row, 2), image, "{attribute}");
        }
    }
    // Two images as sets of one: strength 1 leads from the one exactly to the other.
    sandbox.write("two.csv", "index,last\n10,0\n11,1\n");
    sandbox.exact(
        "edit --attribute last --labels two.csv --images 10.png --strength 0..1 --steps 2 --out edit.png",
    );
    assert_eq!(sandbox.tile("edit.png", 0, 0), digit(Split::Train, 10));
    assert_eq!(sandbox.tile("edit.png", 0, 1), digit(Split::Train, 11));
}

/// Bright noise: photographs have no black ground either.
#[test]
fn measures_of_strokes_are_refused_without_a_black_ground() {
    let sandbox = Sandbox::with_digit_model(None);
    let noise = |count: usize| (0..count * 784).map(|i| 100 + (i * 7919 % 101) as u8);
    for (split, count) in [("train", 40), ("t10k", 4)] {
        let labels = (0..count).map(|i| (i % 10) as u8).collect::<Vec<_>>();
        let name = format!("data/fashion-mnist/{split}");
        sandbox.write_split(&name, &noise(count).collect::<Vec<_>>(), &labels);
    }
    let edit = "edit --checkpoint model.safetensors --dataset fashion-mnist --index 0 --attribute";
    let error = sandbox.refused(&format!("{edit} thickness"));
    assert!(
        error.contains("the images of `fashion-mnist` have no black ground; choose brightness"),
        "{error}"
    );
    assert!(error.contains("such as T-shirt/top:trouser"), "{error}");
    let error = sandbox.refused(&format!("{edit} trouser:skirt"));
    assert!(
        error.contains(
            "no class skirt in `fashion-mnist`: its classes are 0 to 9 (0 T-shirt/top, 1 trouser"
        ),
        "{error}"
    );
    sandbox.ok(&format!("{edit} trouser:dress --out e.png"));
    assert_eq!(sandbox.size("e.png"), (9, 1));

    let report = sandbox.run("measure --dataset fashion-mnist").succeeded();
    assert_eq!(report.stderr.matches("have no black ground").count(), 1);
    let lines = report.stdout.lines().skip(1).collect::<Vec<_>>();
    assert!(lines.len() == 4 && lines.iter().all(|line| line.contains(",,,,0.")));

    let outliers = "outliers --checkpoint model.safetensors --dataset fashion-mnist --rank 4";
    let ranking: Value = serde_json::from_str(&sandbox.ok(&format!("{outliers} --json"))).unwrap();
    let strangest = ranking["strangest"].as_array().unwrap();
    let second = strangest.iter().find(|one| one["label"] == 1).unwrap();
    assert_eq!(second["class"], "trouser");
    assert!(sandbox.ok(outliers).contains("1 trouser"));
    let columns = sandbox
        .run(&format!("{edit} brightness"))
        .succeeded()
        .stderr;
    for strength in ["-0.25", "0.00", "0.25"] {
        assert!(
            columns.contains(&format!("strength {strength:>6}:")),
            "{columns}"
        );
    }
}

#[test]
fn every_temperature_has_its_row_of_the_same_noise() {
    let sandbox = Sandbox::with_digit_model(Some(10));
    sandbox.exact(
        "sample --temperature 0,0.5,1 --count 4 --out rows.png --out-tensor rows.safetensors",
    );
    assert_eq!(sandbox.size("rows.png"), (4, 3));
    let rows = sandbox.read_tensors("rows.safetensors");
    assert_eq!(rows["x"].dims(), [12, 1, 28, 28]);
    let labels = rows["labels"].to_vec1::<u32>().unwrap();
    assert_eq!(labels, [0, 1, 2, 3].repeat(3));
    for (row, temperature) in ["0", "0.5", "1"].into_iter().enumerate() {
        sandbox.exact(&format!(
            "sample --temperature {temperature} --count 4 --out one.png --out-tensor one.safetensors"
        ));
        let one = sandbox.read_tensors("one.safetensors");
        let part = rows["x"].narrow(0, row * 4, 4).unwrap();
        assert_eq!(pixels(&part), pixels(&one["x"]));
        for column in 0..4 {
            let tile = sandbox.tile("rows.png", row as u32, column as u32);
            assert_eq!(tile, pixels(&part.get(column).unwrap()));
        }
    }
    sandbox.exact("sample --class 7 --count 3 --out-tensor seven.safetensors");
    let seven = sandbox.read_tensors("seven.safetensors");
    assert_eq!(seven["labels"].to_vec1::<u32>().unwrap(), [7; 3]);
    // What was drawn is what `encode` takes.
    sandbox.exact("encode --input seven.safetensors --out z.safetensors");
}

/// The frames of a GIF in shades of gray.
fn frames(path: PathBuf) -> Vec<image::GrayImage> {
    let file = std::io::BufReader::new(fs::File::open(path).unwrap());
    let decoder = image::codecs::gif::GifDecoder::new(file).unwrap();
    let frames = decoder.into_frames().map(|frame| {
        let picture = image::DynamicImage::from(frame.unwrap().into_buffer());
        picture.to_luma8()
    });
    frames.collect()
}

#[test]
fn a_walk_begins_with_the_samples_and_never_stands_still() {
    let sandbox = Sandbox::with_digit_model(None);
    sandbox.exact("sample --count 4 --seed 3 --temperature 1 --out first.png");
    sandbox.exact(
        "sample --count 4 --seed 3 --temperature 1 --animate walk --frames 9 --out walk.gif",
    );
    let frames = frames(sandbox.path("walk.gif"));
    assert_eq!(frames.len(), 9);
    let first = image::open(sandbox.path("first.png")).unwrap().to_luma8();
    assert_eq!(frames[0], first);
    assert!(frames.windows(2).all(|pair| pair[0] != pair[1]));
    assert_ne!(frames[8], frames[0]);
}

/// A training with everything it can leave behind, and what is made of that.
#[test]
fn a_training_is_told_to_tensorboard_and_moves() {
    let sandbox = Sandbox::with_digit_model(None);
    sandbox.write_digits("data", 64, 16);
    let tiny = "--levels 1 --steps 1 --width 2 --batch-size 16";
    sandbox.ok(&format!("train --out run {tiny} --epochs 2 --tensorboard"));
    let events = records(&sandbox.path("run/events.out.tfevents.flow"));
    let lines = metrics(&sandbox.path("run"));
    assert_eq!(events.len(), 1 + lines.len() + 2);
    assert!(contains(&events[0], b"brain.Event:2"));
    for epoch in ["run/samples/epoch-0001.png", "run/samples/epoch-0002.png"] {
        let png = sandbox.read(epoch);
        let telling = events.iter().filter(|event| contains(event, &png));
        assert!(telling.count() > 0, "{epoch}");
    }
    for line in lines {
        for (tag, field) in [
            ("bits_per_dim/train", "train_bits_per_dim"),
            ("bits_per_dim/test", "test_bits_per_dim"),
            ("optimizer/learning_rate", "lr"),
        ] {
            if let Some(value) = line[field].as_f64() {
                let value = (value as f32).to_le_bytes();
                // The name, and then the number as field 2.
                let scalar = [tag.as_bytes(), &[0x15], &value].concat();
                assert!(
                    events.iter().any(|event| contains(event, &scalar)),
                    "{line}"
                );
            }
        }
    }

    // A resumed training goes on with the file without being asked.
    sandbox.ok("train --out run --resume --epochs 3");
    let resumed = records(&sandbox.path("run/events.out.tfevents.flow"));
    assert_eq!(resumed.len(), 1 + metrics(&sandbox.path("run")).len() + 3);

    sandbox.ok("sample --checkpoint run/model.safetensors --animate training --out training.gif");
    let frames = frames(sandbox.path("training.gif"));
    assert_eq!(frames.len(), 3);
    for (frame, epoch) in frames.iter().zip(1..) {
        let picture = sandbox.path(&format!("run/samples/epoch-{epoch:04}.png"));
        assert_eq!(*frame, image::open(picture).unwrap().to_luma8());
    }
    sandbox.ok(&format!("train --out run {tiny} --epochs 1 --overwrite"));
    assert!(!sandbox.path("run/events.out.tfevents.flow").exists());
}

/// The events of a file; checksums are compared with TensorBoard's elsewhere.
fn records(path: &std::path::Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(path).unwrap();
    let (mut rest, mut events) = (&bytes[..], Vec::new());
    while !rest.is_empty() {
        let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
        events.push(rest[12..12 + length].to_vec());
        rest = &rest[12 + length + 4..];
    }
    events
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn clusters_are_judged_and_drawn() {
    let sandbox = Sandbox::with_digit_model(Some(10));
    for method in ["k-means", "gaussians"] {
        let arguments = format!(
            "cluster --method {method} --limit 300 --components 8 --seed 5 --json --out plane.png"
        );
        let printed = sandbox.exact(&arguments);
        assert_eq!(printed, sandbox.exact(&arguments), "the seed decides");
        let found: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(found["clusters"], 10);
        assert_eq!(found["images"], 300);
        // A tenth of the images would be chance; digits lie apart even as they are.
        for purity in [&found["pixels"]["purity"], &found["purity"]] {
            let purity = purity.as_f64().unwrap();
            assert!((0.2..1.0).contains(&purity), "{found}");
        }
        assert!(found["pixels"]["nmi"].as_f64().unwrap() > 0.2, "{found}");
        let explained = found["explained_variance"].as_f64().unwrap();
        assert!(explained > 0.0 && explained < 1.0, "{found}");
        let (width, height) = image::image_dimensions(sandbox.path("plane.png")).unwrap();
        assert!(width >= 1000 && height >= 500);
    }
    let one = sandbox.exact("cluster --clusters 1 --limit 50 --json");
    let one: Value = serde_json::from_str(&one).unwrap();
    assert_eq!(one["nmi"], 0.0);
}
