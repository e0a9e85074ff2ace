//! The real binary: its help, its errors, and a small training from beginning to end.

use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};
use tempfile::TempDir;

/// The smallest model that trains.
const TINY: &[&str] = &[
    "--levels",
    "1",
    "--steps",
    "1",
    "--width",
    "8",
    "--batch-size",
    "16",
];

/// A folder without data sets, in which the binary runs.
struct Sandbox(TempDir);

impl Sandbox {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flow"));
        command
            .args(args)
            .current_dir(self.0.path())
            .env("RUST_BACKTRACE", "0")
            .env_remove("RUST_LOG");
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a command that must succeed; its stdout.
    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Trains a tiny model for `steps` into `out`; what it printed.
    fn train(&self, out: &str, steps: &str, more: &[&str]) -> String {
        self.ok(&[&["train", "--out", out, "--max-steps", steps], TINY, more].concat())
    }

    /// Runs a command that must fail: with this status, one line on stderr, nothing on stdout.
    fn fails(&self, status: i32, args: &[&str]) -> String {
        let output = self.run(args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{args:?}: {stderr}");
        assert!(output.stdout.is_empty(), "{args:?} printed to stdout");
        let errors: Vec<_> = stderr
            .lines()
            .filter(|line| line.starts_with("error: "))
            .collect();
        assert_eq!(errors.len(), 1, "{args:?}: {stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
        errors[0].to_owned()
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn metrics(folder: &Path) -> Vec<Value> {
    fs::read_to_string(folder.join("metrics.jsonl"))
        .unwrap()
        .lines()
        .map(json)
        .collect()
}

#[test]
fn help_and_errors_read_well() {
    let sandbox = Sandbox::new();
    insta::assert_snapshot!("help", sandbox.ok(&["--help"]));
    let commands = [
        "train",
        "eval",
        "sample",
        "interpolate",
        "edit",
        "cluster",
        "encode",
        "decode",
        "density",
        "outliers",
        "inspect",
        "verify",
        "bench",
    ];
    for command in commands {
        insta::assert_snapshot!(format!("help_{command}"), sandbox.ok(&[command, "--help"]));
    }
}

#[test]
fn a_training_from_beginning_to_end() {
    let sandbox = Sandbox::new();
    let printed = sandbox.train("run", "40", &["--seed", "3"]);
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
    let evaluation = json(&sandbox.ok(&["eval", "--checkpoint", model, "--json"]));
    assert_eq!(
        (&evaluation["images"], &evaluation["dataset"]),
        (&2000.into(), &"mnist".into())
    );
    assert_eq!(evaluation["bits_per_dim"].as_f64().unwrap(), trained);
    assert!(evaluation["standard_error"].as_f64().unwrap() > 0.0);
    let limited = json(&sandbox.ok(&["eval", "--checkpoint", model, "--json", "--limit", "20"]));
    assert_eq!(limited["images"], 20);

    sandbox.ok(&[
        "sample",
        "--checkpoint",
        model,
        "--count",
        "7",
        "--out",
        "a.png",
    ]);
    sandbox.ok(&[
        "sample",
        "--checkpoint",
        model,
        "--count",
        "7",
        "--out",
        "b.png",
    ]);
    sandbox.ok(&[
        "sample",
        "--checkpoint",
        model,
        "--count",
        "7",
        "--seed",
        "1",
        "--out",
        "c.png",
    ]);
    let bytes = |name: &str| fs::read(sandbox.path(name)).unwrap();
    assert_eq!(bytes("a.png"), bytes("b.png"));
    assert_ne!(bytes("a.png"), bytes("c.png"));
    // Seven images stand in a square of three by three.
    let grid = image::open(sandbox.path("a.png")).unwrap();
    assert_eq!(grid.width(), grid.height());
    assert!(image::open(sandbox.path("run/curve.png")).unwrap().width() >= 640);
    assert!(image::open(sandbox.path("run/samples/epoch-0001.png")).is_ok());

    for file in [model, "run/training.safetensors"] {
        let inspection = json(&sandbox.ok(&["inspect", file, "--json"]));
        assert_eq!(inspection["model"]["width"], 8);
        assert_eq!(inspection["training"]["progress"]["step"], 40);
        assert!(inspection["parameters"].as_u64().unwrap() > 100);
    }
    assert!(sandbox.ok(&["inspect", model]).contains("exp-tanh"));
}

#[test]
fn a_class_can_be_asked_for_where_there_are_classes() {
    let sandbox = Sandbox::new();
    sandbox.train("with", "2", &["--classes"]);
    let model = "with/model.safetensors";
    sandbox.ok(&[
        "sample",
        "--checkpoint",
        model,
        "--class",
        "7",
        "--count",
        "4",
        "--out",
        "seven.png",
    ]);
    let error = sandbox.fails(1, &["sample", "--checkpoint", model, "--class", "10"]);
    assert!(
        error.contains("there is no class 10: the model knows the classes 0 to 9"),
        "{error}"
    );
    assert!(!sandbox.path("samples.png").exists());
}

#[test]
fn colored_images_are_trained_on_and_drawn() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("data/cifar10");
    fs::create_dir_all(&folder).unwrap();
    let batches = (1..=5).map(|i| format!("data_batch_{i}.bin"));
    for (i, name) in batches.chain(["test_batch.bin".to_owned()]).enumerate() {
        let image = |label: usize| {
            let pixels = (0..3072).map(move |pixel| ((pixel * (label + 3) + i) % 256) as u8);
            [label as u8].into_iter().chain(pixels)
        };
        fs::write(
            folder.join(name),
            (0..8).flat_map(image).collect::<Vec<_>>(),
        )
        .unwrap();
    }
    let tiny = &[
        "train",
        "--max-steps",
        "3",
        "--levels",
        "1",
        "--steps",
        "1",
        "--width",
        "8",
    ];
    sandbox.ok(&[
        &tiny[..],
        &["--dataset", "cifar10", "--flip", "--batch-size", "16"],
    ]
    .concat());
    let model = "runs/cifar10-small/model.safetensors";
    sandbox.ok(&["sample", "--checkpoint", model, "--count", "1"]);
    let picture = image::open(sandbox.path("samples.png")).unwrap();
    assert_eq!(picture.color(), image::ColorType::Rgb8);
    // Three times 32 pixels, between gaps of four.
    assert_eq!((picture.width(), picture.height()), (104, 104));

    let evaluation = json(&sandbox.ok(&["eval", "--checkpoint", model, "--limit", "1", "--json"]));
    assert_eq!(
        (&evaluation["images"], &evaluation["dataset"]),
        (&1.into(), &"cifar10".into())
    );
    assert!(
        evaluation["standard_error"].is_null(),
        "one image has no spread"
    );
    let assets = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets");
    let other = ["--dataset", "mnist", "--data-dir", assets];
    let error = sandbox.fails(1, &[&["eval", "--checkpoint", model], &other[..]].concat());
    assert!(
        error.contains("1×28×28, the model takes 3×32×32"),
        "{error}"
    );
}

#[test]
fn a_finished_training_is_measured_again_or_extended() {
    let sandbox = Sandbox::new();
    let first = sandbox.train("run", "3", &[]);
    let steps = || -> Vec<_> {
        metrics(&sandbox.path("run"))
            .iter()
            .map(|r| r["step"].clone())
            .collect()
    };
    let again = sandbox.ok(&["train", "--out", "run", "--resume", "--max-steps", "3"]);
    assert_eq!(first.lines().next(), again.lines().next());
    assert_eq!(steps(), [3]);
    sandbox.ok(&["train", "--out", "run", "--resume", "--max-steps", "5"]);
    assert_eq!(steps(), [3, 5]);
    sandbox.train("run", "2", &["--overwrite"]);
    assert_eq!(steps(), [2]);
}

/// The settings that a program's Glow has are those of the model; a training is resumed by the same command.
#[test]
fn a_model_for_another_program_has_its_settings() {
    let sandbox = Sandbox::new();
    let rows = [
        ("nflows", "sigmoid-offset", "unit", "standard"),
        ("normflows", "sigmoid", "unit", "element"),
        ("rosinality", "sigmoid", "centered", "convolution"),
    ];
    for (peer, scale_map, preprocessing, top_prior) in rows {
        let options = ["--for", peer, "--preset", "small"];
        sandbox.train(peer, "1", &options);
        let file = format!("{peer}/model.safetensors");
        let config = &json(&sandbox.ok(&["inspect", "--json", &file]))["model"];
        assert_eq!(config["scale_map"], scale_map);
        assert_eq!(config["preprocessing"], preprocessing);
        assert_eq!(config["dequantization"], "uniform");
        assert_eq!(config["conventions"]["top_prior"], top_prior);
        assert_eq!(config["width"], 8);
        sandbox.train(peer, "2", &[&options[..], &["--resume"]].concat());
    }
    let other = [
        "train",
        "--out",
        "nflows",
        "--resume",
        "--for",
        "rosinality",
    ];
    assert!(sandbox.fails(1, &other).contains("`--for`"));
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
            let args = [
                &[command, "--for", peer],
                &*options.split(' ').collect::<Vec<_>>(),
            ];
            let error = sandbox.fails(2, &args.concat());
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
    let sandbox = Sandbox::new();
    sandbox.train("run", "1", &[]);
    let args = [
        "sample",
        "--checkpoint",
        "run/model.safetensors",
        "--count",
        "4",
        "--out",
        "-",
    ];
    let output = sandbox.run(&args);
    assert!(output.status.success());
    let picture = image::load_from_memory(&output.stdout).unwrap();
    assert_eq!((picture.width(), picture.height()), (236, 236));
}

#[test]
fn an_error_is_one_line_also_where_backtraces_are_on() {
    let sandbox = Sandbox::new();
    sandbox.train("run", "1", &[]);
    let bytes = fs::read(sandbox.path("run/model.safetensors")).unwrap();
    let key = br#"\"steps\":1"#;
    let at = bytes
        .windows(key.len())
        .position(|window| window == key)
        .unwrap();
    let mut other = bytes;
    // A header that promises a second step, whose parameters are missing.
    other[at + key.len() - 1] = b'2';
    fs::write(sandbox.path("other.safetensors"), other).unwrap();
    let output = sandbox
        .command(&["inspect", "other.safetensors"])
        .env("RUST_BACKTRACE", "1")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains("is missing"), "{stderr}");
}

#[test]
fn bench_measures_every_kind_of_work() {
    let sandbox = Sandbox::new();
    let args = [
        "bench", "--levels", "1", "--steps", "1", "--width", "8", "--size", "8", "--iters", "2",
        "--json",
    ];
    let result = json(&sandbox.ok(&args));
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
    let args = [&["train", "--out", "run", "--max-steps", "2"], TINY].concat();
    let mut child = sandbox
        .command(&args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    assert!(child.wait_with_output().unwrap().status.success());
    assert!(sandbox.path("run/model.safetensors").exists());
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let sandbox = Sandbox::new();
    sandbox.train("run", "1", &[]);
    let mut command = sandbox.command(&["inspect", "run/model.safetensors", "--json"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
