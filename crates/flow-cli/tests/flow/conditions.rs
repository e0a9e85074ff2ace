//! Models that are conditional on numbers, and the measures of images that such numbers can be.

use candle_core::{DType, Device, Tensor};
use flow_analysis::attribute::Measure;
use flow_data::{Dataset, Split};
use flow_glow::{Column, Condition, GlowConfig, ImageShape};

use crate::sandbox::{Sandbox, digit, header, tensors};

const TINY: &str = "--levels 1 --steps 1 --width 8 --dequantization uniform --batch-size 16";
const FILES: &str = "--condition train.csv --test-condition test.csv";

/// A model of random weights with two columns.
fn model() -> Sandbox {
    let column = |name: &str, mean, std| Column {
        name: name.to_owned(),
        mean,
        std,
    };
    Sandbox::with_model(&GlowConfig {
        steps: 2,
        width: 8,
        condition: Some(Condition {
            columns: vec![column("slant", 0.2, 0.5), column("year", 1990.0, 12.0)],
            networks: true,
        }),
        ..GlowConfig::small(ImageShape::new(1, 28, 28))
    })
}

/// A folder with 64 digits to train on and 12 others, and their measures.
fn measured() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write_digits("data", 64, 12);
    for split in ["train", "test"] {
        sandbox.ok(&format!("measure --split {split} --out {split}.csv"));
    }
    sandbox
}

fn bytes(tensor: &Tensor) -> Vec<u8> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn samples_have_the_numbers_that_are_asked_for() {
    let sandbox = model();
    sandbox.write("a.csv", "slant,year\n-0.5,1971\n");
    sandbox.write("turned.csv", "year, index, slant\n1971,7,-0.5\n");
    sandbox.write("b.csv", "slant,year\n0.9,1971\n");
    sandbox.write("three.csv", "slant,year\n-0.5,1971\n-0.5,1971\n-0.5,1971\n");
    let sample = |options: &str| {
        sandbox.of_model(&format!(
            "sample --condition {options} --out-tensor x.safetensors"
        ));
        let mut drawn = sandbox.read_tensors("x.safetensors");
        (
            bytes(&drawn.remove("x").unwrap()),
            drawn.remove("condition").unwrap(),
        )
    };
    let (one, condition) = sample("a.csv");
    assert_eq!(condition.to_vec2::<f64>().unwrap(), [[-0.5, 1971.0]]);
    assert_eq!(one.len(), 784);
    assert_eq!(sample("turned.csv").0, one);
    assert_ne!(sample("b.csv").0, one);
    let (three, conditions) = sample("a.csv --count 3");
    assert_eq!(
        (&three, conditions.dims()),
        (&sample("three.csv").0, &[3, 2][..])
    );
    assert_eq!(three[..784], one);
    let (rows, conditions) = sample("three.csv --temperature 0.7,1");
    assert_eq!(
        (&rows[..3 * 784], conditions.dims()),
        (&*three, &[6, 2][..])
    );
    sandbox.of_model("sample --condition a.csv --count 2 --animate walk --frames 3 --out w.gif");
}

#[test]
fn numbers_that_do_not_fit_the_model_are_refused() {
    let sandbox = model();
    let rows = [
        (
            "slant,year\n1,2\n3,4\n",
            "--count 3",
            "a file of 2 rows, one for each image",
        ),
        (
            "slant\n1\n",
            "",
            "it has no `year`; the model is conditional on `slant`, `year`",
        ),
        (
            "slant,year,hue\n1,2,3\n",
            "",
            "the model knows no `hue`; the model is conditional on",
        ),
        (
            "slant,year,slant\n1,2,3\n",
            "",
            "its first line names `slant` twice",
        ),
        (
            "slant,year\n1,2\n3,x\n",
            "",
            "line 3 holds `x` in the column `year`, which is not a number",
        ),
        (
            "slant,year\n1,inf\n",
            "",
            "line 2 holds `inf` in the column `year`",
        ),
        (
            "slant,year\n1e300,2\n",
            "",
            "in the column `slant`, which is too large",
        ),
        (
            "slant,year\n,2\n",
            "",
            "line 2 has nothing in the column `slant`",
        ),
        ("slant,year\n", "", "it has no rows"),
        (
            "index\n1\n",
            "",
            "its first line names no column of numbers",
        ),
    ];
    for (content, options, expected) in rows {
        sandbox.write("wanted.csv", content);
        let sample = "sample --checkpoint model.safetensors --condition wanted.csv";
        let error = sandbox.refused(&format!("{sample} {options}"));
        assert!(error.contains(expected), "{error}");
    }
    sandbox
        .run("sample --condition wanted.csv --class 1")
        .refused(2);
    let error = sandbox.refused("sample --condition wanted.csv");
    assert!(
        error.contains("not conditional on numbers; leave out `--condition`"),
        "{error}"
    );
}

#[test]
fn commands_without_numbers_name_the_columns() {
    let sandbox = model();
    let config = GlowConfig {
        steps: 1,
        width: 4,
        ..GlowConfig::small(ImageShape::new(1, 28, 28))
    };
    sandbox.write_model("plain.safetensors", &config, 0.05);
    sandbox.write_picture("0.png", digit(Split::Test, 0));
    let z = |c, side| Tensor::zeros((1, c, side, side), DType::F32, &Device::Cpu).unwrap();
    sandbox.write_tensors("z.safetensors", &[("z.0", &z(2, 14)), ("z.1", &z(8, 7))]);
    for words in [
        "sample",
        "eval",
        "encode --out x.safetensors",
        "decode --input z.safetensors --out x.safetensors",
        "interpolate --from 1 --to 2",
        "edit --attribute slant --index 1",
        "cluster",
        "density 0.png",
        "outliers --rank 5",
    ] {
        let error = sandbox.refused(&format!("{words} --checkpoint model.safetensors"));
        assert!(
            error.contains("the model is conditional on `slant`, `year`"),
            "{words}: {error}"
        );
    }
    for words in [
        "outliers --rank 5 --checkpoint plain.safetensors --background model.safetensors",
        "train --out new --from model.safetensors",
    ] {
        let error = sandbox.refused(words);
        assert!(
            error.contains("the model is conditional on `slant`, `year`"),
            "{words}: {error}"
        );
    }
    let error = sandbox.refused("convert --to normflows model.safetensors x.safetensors");
    assert!(error.contains("conditional on numbers"), "{error}");

    sandbox.ok("verify model.safetensors --limit 2");
    assert!(
        sandbox
            .ok("inspect model.safetensors")
            .contains("`slant`, `year`")
    );
}

#[test]
fn a_conditional_training_from_beginning_to_end() {
    let sandbox = measured();
    for run in ["run", "other"] {
        sandbox.ok(&format!("train --out {run} {TINY} {FILES} --max-steps 3"));
    }
    let columns = &header(&sandbox.read("run/model.safetensors"))["model"]["condition"];
    assert_eq!(columns["networks"], true);
    let images = Dataset::bundled(Split::Train).unwrap();
    let images = images.batch(&(0..64).collect::<Vec<_>>()).unwrap().images;
    for (place, measure) in Measure::ALL.into_iter().enumerate() {
        let values = measure.of(&images).unwrap().into_iter().flatten();
        let mean = values.sum::<f64>() / 64.0;
        let column = &columns["columns"][place];
        assert_eq!(column["name"], measure.as_str());
        assert!((column["mean"].as_f64().unwrap() - mean).abs() < 1e-6 * (1.0 + mean.abs()));
    }

    // As with the images, a training goes on with its own numbers alone.
    let test = String::from_utf8(sandbox.read("test.csv")).unwrap();
    let mut lines = test.lines().collect::<Vec<_>>();
    lines[1..].reverse();
    sandbox.write("reversed.csv", lines.join("\n"));
    sandbox.write("unnamed.csv", lines.join("\n").replace("index", "file"));
    let resume = |files: &str| format!("train --out run --resume {files} --max-steps 6");
    let rows = [
        (
            "",
            "the model is conditional on `thickness`, `slant`, `width`, `brightness`; give",
        ),
        (
            "--condition train.csv --test-condition unnamed.csv",
            "begun with other numbers in",
        ),
        (
            "--condition test.csv --test-condition test.csv",
            "it has no row of image 12",
        ),
        (
            &format!("{FILES} --condition-priors-only"),
            "leave out `--condition-priors-only`",
        ),
    ];
    for (files, expected) in rows {
        let error = sandbox.refused(&resume(files));
        assert!(error.contains(expected), "{error}");
    }
    sandbox.ok(&resume(
        "--condition train.csv --test-condition reversed.csv",
    ));
    sandbox.ok(&format!("train --out other --resume {FILES} --max-steps 6"));
    let weights = |run: &str| sandbox.read(&format!("{run}/model.safetensors"));
    let same = tensors(&weights("run")) == tensors(&weights("other"));
    assert!(same, "the order of the rows counts beside their index");

    let eval = |file: &str| {
        let eval = "eval --json --checkpoint run/model.safetensors --condition";
        sandbox.json(&format!("{eval} {file}"))["bits_per_dim"]
            .as_f64()
            .unwrap()
    };
    assert_eq!(eval("test.csv"), eval("reversed.csv"));
    assert_ne!(eval("test.csv"), eval("unnamed.csv"));
    let error = sandbox.refused(
        "eval --checkpoint run/model.safetensors --split train --condition test.csv --limit 12",
    );
    assert!(error.contains("it has no row of image 12"), "{error}");

    let from = "train --from run/model.safetensors --max-steps 1 --out";
    sandbox.ok(&format!("{from} further {FILES}"));
    sandbox.ok(&format!(
        "train --out priors {TINY} {FILES} --condition-priors-only --max-steps 1"
    ));
    let header = header(&sandbox.read("priors/model.safetensors"));
    assert_eq!(header["model"]["condition"]["networks"], false);
}

#[test]
fn conditions_that_no_training_can_have_are_refused() {
    let sandbox = Sandbox::new();
    sandbox.write_digits("data", 3, 2);
    sandbox.write("test.csv", "a\n1\n2\n");
    let rows = [
        (
            "a\n1\n2\n",
            "it has 2 rows, but there are 3 training images",
        ),
        ("a,index\n1,0\n2,0\n3,1\n", "it has two rows of image 0"),
        ("a,index\n1,0\n2,2\n", "it has no row of image 1"),
        (
            "a,index\n1,0\n2,2\n3,3\n",
            "a row of image 3, but there are 3 training images, from 0",
        ),
        ("a,index\n1,0\n2,2\n3,-1\n", "`-1` is not an index"),
        (
            "a,b\n1,5\n2,5\n3,5\n",
            "`b` is 5 in every row: images do not differ in it",
        ),
        (
            "a\n1\nNaN\n3\n",
            "line 3 holds `NaN` in the column `a`, which is not a number",
        ),
        (
            "b\n1\n2\n3\n",
            "cannot use `test.csv`: it has no `b`; the model is conditional on `b`",
        ),
    ];
    let tiny = TINY.replace("16", "2");
    let train = format!("train --out run {tiny} {FILES} --max-steps 1");
    for (content, expected) in rows {
        sandbox.write("train.csv", content);
        let error = sandbox.refused(&train);
        assert!(error.contains(expected), "{error}");
    }
    for options in ["--classes", "--for normflows"] {
        sandbox.run(&format!("{train} {options}")).refused(2);
    }
    sandbox.run("train --condition train.csv").refused(2);
    sandbox.write("train.csv", "a\n1\n2\n4\n");
    let error = sandbox.refused(&format!("train --out new --from {FILES}"));
    assert!(error.contains("not conditional on numbers"), "{error}");
}

#[test]
fn measures_are_those_of_the_library() {
    let sandbox = Sandbox::new();
    let images = Dataset::bundled(Split::Test)
        .unwrap()
        .batch(&[0, 1, 2])
        .unwrap()
        .images;
    sandbox.write_tensors("x.safetensors", &[("x", &images)]);
    std::fs::create_dir(sandbox.path("folder")).unwrap();
    sandbox.write_picture("folder/3.png", digit(Split::Test, 3));
    sandbox.write_picture("folder/black.png", vec![0; 784]);
    let table = sandbox.ok("measure x.safetensors folder");
    let mut lines = table.lines();
    assert_eq!(lines.next(), Some("index,thickness,slant,width,brightness"));
    let fourth = Dataset::bundled(Split::Test)
        .unwrap()
        .batch(&[3])
        .unwrap()
        .images;
    let images = Tensor::cat(&[images, fourth], 0).unwrap();
    let of = Measure::ALL.map(|measure| measure.of(&images).unwrap());
    for (image, line) in lines.by_ref().take(4).enumerate() {
        let expected = of
            .each_ref()
            .map(|values| values[image].unwrap().to_string());
        assert_eq!(line, format!("{image},{}", expected.join(",")));
    }
    assert_eq!((lines.next(), lines.next()), (Some("4,,,,"), None));

    let error = sandbox.refused("measure nowhere.png");
    assert!(error.contains("cannot read `nowhere.png`"), "{error}");
    sandbox
        .run("measure x.safetensors --split train")
        .refused(2);
}
