//! The real binary: its help, its errors, and a small training from beginning to end.

use std::process::Stdio;

use crate::sandbox::{Report, Sandbox, header, metrics, with_header};

/// The smallest model that trains, of which few images are measured.
const TINY: &str = "--levels 1 --steps 1 --width 8 --batch-size 16 --eval-images 20";

#[test]
fn help_and_errors_read_well() {
    let sandbox = Sandbox::new();
    insta::assert_snapshot!("help", sandbox.ok("--help"));
    let commands = [
        "fetch",
        "data",
        "train",
        "fit",
        "score",
        "eval",
        "explore",
        "sample",
        "interpolate",
        "edit",
        "cluster",
        "encode",
        "decode",
        "density",
        "outliers",
        "measure",
        "convert",
        "inspect",
        "verify",
        "bench",
    ];
    for command in commands {
        insta::assert_snapshot!(
            format!("help_{command}"),
            sandbox.ok(&format!("{command} --help"))
        );
    }
}

#[test]
fn a_training_from_beginning_to_end() {
    let sandbox = Sandbox::new();
    let options = "--levels 1 --steps 1 --width 8 --batch-size 16 --max-steps 40 --seed 3";
    let printed = sandbox.ok(&format!("train --out run {options}"));
    assert!(
        printed.contains("bits per dimension on 2,000 test images"),
        "{printed}"
    );

    let records = metrics(&sandbox.path("run"));
    let last = records.last().unwrap();
    for field in [
        "step",
        "epoch",
        "train_bits_per_dim",
        "lr",
        "grad_norm",
        "images_per_second",
        "seconds",
    ] {
        assert!(
            records.iter().all(|record| record[field].is_number()),
            "{field}"
        );
    }
    assert_eq!(last["step"], 40);
    let trained = last["test_bits_per_dim"].as_f64().unwrap();
    assert!(trained < 8.0, "{trained}");

    let model = "run/model.safetensors";
    let evaluation = sandbox.json(&format!("eval --checkpoint {model} --json"));
    assert_eq!(
        (&evaluation["images"], &evaluation["dataset"]),
        (&2000.into(), &"mnist".into())
    );
    assert_eq!(evaluation["bits_per_dim"].as_f64().unwrap(), trained);
    assert!(evaluation["standard_error"].as_f64().unwrap() > 0.0);
    let limited = sandbox.json(&format!("eval --checkpoint {model} --json --limit 20"));
    assert_eq!(limited["images"], 20);

    let sample = format!("sample --checkpoint {model} --count 7");
    sandbox.ok(&format!("{sample} --out a.png"));
    sandbox.ok(&format!("{sample} --out b.png"));
    sandbox.ok(&format!("{sample} --seed 1 --out c.png"));
    assert_eq!(sandbox.read("a.png"), sandbox.read("b.png"));
    assert_ne!(sandbox.read("a.png"), sandbox.read("c.png"));
    // Seven images stand in a square of three by three.
    let grid = image::open(sandbox.path("a.png")).unwrap();
    assert_eq!(grid.width(), grid.height());
    assert!(image::open(sandbox.path("run/curve.png")).unwrap().width() >= 640);
    assert!(image::open(sandbox.path("run/samples/epoch-0001.png")).is_ok());

    for file in [model, "run/training.safetensors"] {
        let inspection = sandbox.json(&format!("inspect {file} --json"));
        assert_eq!(inspection["model"]["width"], 8);
        assert_eq!(inspection["training"]["progress"]["step"], 40);
        assert!(inspection["parameters"].as_u64().unwrap() > 100);
    }
    assert!(sandbox.ok(&format!("inspect {model}")).contains("exp-tanh"));
}

#[test]
fn a_class_can_be_asked_for_where_there_are_classes() {
    let sandbox = Sandbox::trained(&format!("{TINY} --max-steps 2 --classes"));
    let sample = "sample --checkpoint run/model.safetensors";
    sandbox.ok(&format!("{sample} --class 7 --count 4 --out seven.png"));
    let error = sandbox.refused(&format!("{sample} --class 10"));
    assert!(
        error.contains("there is no class 10: the model knows the classes 0 to 9"),
        "{error}"
    );
    assert!(!sandbox.path("samples.png").exists());
}

#[test]
fn colored_images_are_trained_on_and_drawn() {
    let sandbox = Sandbox::new();
    let pixel = |file, label, place| ((place * (label + 3) + file) % 256) as u8;
    sandbox.write_cifar10("data", 8, pixel);
    sandbox.ok(&format!(
        "train --max-steps 3 {TINY} --dataset cifar10 --flip"
    ));
    let model = "runs/cifar10-small/model.safetensors";
    sandbox.ok(&format!("sample --checkpoint {model} --count 1"));
    let picture = image::open(sandbox.path("samples.png")).unwrap();
    assert_eq!(picture.color(), image::ColorType::Rgb8);
    // Three times 32 pixels, between gaps of four.
    assert_eq!((picture.width(), picture.height()), (104, 104));

    let evaluation = sandbox.json(&format!("eval --checkpoint {model} --limit 1 --json"));
    assert_eq!(
        (&evaluation["images"], &evaluation["dataset"]),
        (&1.into(), &"cifar10".into())
    );
    assert!(
        evaluation["standard_error"].is_null(),
        "one image has no spread"
    );
    let mut other = sandbox.flow(&format!(
        "eval --checkpoint {model} --dataset mnist --data-dir"
    ));
    let assets = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets");
    let error = Report::of(other.arg(assets)).refused(1);
    assert!(
        error.contains("1×28×28, the model takes 3×32×32"),
        "{error}"
    );
}

#[test]
fn a_finished_training_is_measured_again_or_extended() {
    let sandbox = Sandbox::new();
    let first = sandbox.ok(&format!("train --out run {TINY} --max-steps 3"));
    let steps = || {
        let lines = metrics(&sandbox.path("run")).into_iter();
        lines.map(|line| line["step"].clone()).collect::<Vec<_>>()
    };
    let again = sandbox.ok("train --out run --resume --max-steps 3");
    assert_eq!(first.lines().next(), again.lines().next());
    assert_eq!(steps(), [3]);
    sandbox.ok("train --out run --resume --max-steps 5");
    assert_eq!(steps(), [3, 5]);
    sandbox.ok(&format!("train --out run {TINY} --max-steps 2 --overwrite"));
    assert_eq!(steps(), [2]);
}

/// The settings that a program's Glow has are those of the model; a training is resumed by the same
/// command.
#[test]
fn a_model_for_another_program_has_its_settings() {
    let sandbox = Sandbox::new();
    let rows = [
        ("nflows", "sigmoid-offset", "unit", "standard"),
        ("normflows", "sigmoid", "unit", "element"),
        ("rosinality", "sigmoid", "centered", "convolution"),
    ];
    for (peer, scale_map, preprocessing, top_prior) in rows {
        let train = format!("train --out {peer} {TINY} --for {peer} --preset small");
        sandbox.ok(&format!("{train} --max-steps 1"));
        let file = format!("{peer}/model.safetensors");
        let config = &sandbox.json(&format!("inspect --json {file}"))["model"];
        assert_eq!(config["scale_map"], scale_map);
        assert_eq!(config["preprocessing"], preprocessing);
        assert_eq!(config["dequantization"], "uniform");
        assert_eq!(config["conventions"]["top_prior"], top_prior);
        assert_eq!(config["width"], 8);
        sandbox.ok(&format!("{train} --max-steps 2 --resume"));
    }
    let error = sandbox.refused("train --out nflows --resume --for rosinality");
    assert!(error.contains("`--for`"), "{error}");
}

#[test]
fn what_another_program_does_not_have_is_refused_beside_its_name() {
    let sandbox = Sandbox::new();
    let rows = [
        ("nflows", "--classes", "`--classes`"),
        ("nflows", "--scale-map exp-tanh", "`--scale-map`"),
        (
            "nflows",
            "--scale-map sigmoid --classes",
            "`--scale-map`, `--classes`",
        ),
        ("nflows", "--preprocessing equalized", "`--preprocessing`"),
        ("normflows", "--scale-map sigmoid-offset", "`--scale-map`"),
        (
            "normflows",
            "--dequantization variational",
            "`--dequantization`",
        ),
        (
            "rosinality",
            "--classes --preprocessing logit",
            "`--classes`, `--preprocessing`",
        ),
        (
            "rosinality",
            "--scale-map exp-tanh --levels 1",
            "`--scale-map`",
        ),
    ];
    for (peer, options, named) in rows {
        for command in ["train", "bench"] {
            let report = sandbox.run(&format!("{command} --for {peer} {options}"));
            let error = report.refused(2);
            assert!(
                error.contains(&format!("leave out {named} or `--for {peer}`")),
                "{error}"
            );
        }
    }
    assert!(!sandbox.path("runs").exists());
}

#[test]
fn a_picture_goes_to_stdout_if_asked() {
    let sandbox = Sandbox::trained(&format!("{TINY} --max-steps 1"));
    let sample = "sample --checkpoint run/model.safetensors --count 4 --out -";
    let output = sandbox.flow(sample).output().unwrap();
    assert!(output.status.success());
    let picture = image::load_from_memory(&output.stdout).unwrap();
    assert_eq!((picture.width(), picture.height()), (236, 236));
}

#[test]
fn an_error_is_one_line_also_where_backtraces_are_on() {
    let sandbox = Sandbox::trained(&format!("{TINY} --max-steps 1"));
    let bytes = sandbox.read("run/model.safetensors");
    // A header that promises a second step, whose parameters are missing.
    let mut other = header(&bytes);
    other["model"]["steps"] = 2.into();
    sandbox.write("other.safetensors", with_header(&bytes, &other));
    let mut inspect = sandbox.flow("inspect other.safetensors");
    let stderr = Report::of(inspect.env("RUST_BACKTRACE", "1")).stderr;
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains("is missing"), "{stderr}");
}

#[test]
fn bench_measures_every_kind_of_work() {
    let sandbox = Sandbox::new();
    let bench = "bench --levels 1 --steps 1 --width 8 --size 8 --iters 2 --json";
    let result = sandbox.json(bench);
    for field in [
        "train_img_s",
        "log_prob_img_s",
        "sample_img_s",
        "peak_mb",
        "matmul_gflop_s",
    ] {
        assert!(result[field].as_f64().unwrap() > 0.0, "{field}");
    }
}

#[test]
fn training_goes_on_when_nobody_reads_its_messages() {
    let sandbox = Sandbox::new();
    let mut train = sandbox.flow(&format!("train --out run {TINY} --max-steps 2"));
    train.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = train.spawn().unwrap();
    drop(child.stderr.take());
    assert!(child.wait_with_output().unwrap().status.success());
    assert!(sandbox.path("run/model.safetensors").exists());
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let sandbox = Sandbox::trained(&format!("{TINY} --max-steps 1"));
    let mut inspect = sandbox.flow("inspect run/model.safetensors --json");
    inspect.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = inspect.spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(Report::of_child(child).stderr, "");
}
