//! `flow-bench training`: nflows and `flow train` for the same time on the same machine, one after
//! the other.
//!
//! Time is that of training alone for nflows. For `flow train` it includes the work of the command
//! after each epoch: measuring, drawing and saving.

mod picture;

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, ensure};
use candle_core::Device;
use flow_glow::{Checkpoint, Header, TrainingRecord};
use serde::Deserialize;

use crate::tools::{Flow, Python, json, number, table};

/// Both are measured on these, evenly spread over the test images.
const TEST_IMAGES: &str = "2000";

#[derive(clap::Args)]
#[command(after_help = "\
Words after `--` go to `flow train`, such as `-- --preset base`.")]
pub(crate) struct Options {
    /// The Python with `torch`, `nflows` and `numpy`
    #[arg(long, default_value = "peers/bin/python")]
    python: PathBuf,

    /// The data set, which `flow fetch` gets
    #[arg(long, default_value = "mnist", value_parser = ["mnist", "cifar10"])]
    dataset: String,

    /// Levels of both models
    #[arg(long, default_value_t = 2)]
    levels: usize,

    /// Minutes of training, of each
    #[arg(long, default_value_t = 20.0, value_parser = minutes)]
    minutes: f64,

    /// Minutes from mark to mark
    #[arg(long, default_value_t = 2.0, value_parser = minutes)]
    every: f64,

    /// The picture to draw
    #[arg(
        long,
        value_name = "PNG",
        default_value = "docs/training-beside-nflows.png"
    )]
    out: PathBuf,

    /// The folder for both trainings, and for samples of nflows as `flow-bench samples --images`
    /// takes them
    #[arg(long, value_name = "DIR", default_value = "runs/beside-nflows")]
    runs: PathBuf,

    /// The folder fetched data sets lie in
    #[arg(long, value_name = "DIR", default_value = "data")]
    data_dir: PathBuf,

    /// Options of `flow train`
    #[arg(last = true, value_name = "OPTION")]
    train: Vec<String>,
}

/// Measurements in the course of a training.
#[derive(Deserialize)]
struct TrainingCurve {
    parameters: usize,
    images_per_second: f64,
    marks: Vec<CurvePoint>,
}

#[derive(Clone, Copy, Deserialize)]
struct CurvePoint {
    /// Time spent training.
    seconds: f64,
    /// `None` if it is not finite.
    bits_per_dim: Option<f64>,
}

/// Trains both, draws a picture and prints a table in Markdown.
pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(
        options.every <= options.minutes,
        "`--every {}` is longer than `--minutes {}`",
        options.every,
        options.minutes
    );
    let python = Python::at(&options.python)?;
    let flow = Flow::build()?;
    fs::create_dir_all(&options.runs)
        .with_context(|| format!("cannot make the folder `{}`", options.runs.display()))?;
    let peer = theirs(&python, options)?;
    let ours = ours(&flow, options)?;
    print(&peer, &ours);
    let curves = [("nflows", &*peer.marks), ("flow", &*ours.marks)];
    let png = picture::png(&options.dataset, &curves)?;
    fs::write(&options.out, png)
        .with_context(|| format!("cannot write `{}`", options.out.display()))
}

fn theirs(python: &Python, options: &Options) -> Result<TrainingCurve> {
    eprintln!("training in nflows for {} minutes", options.minutes);
    let mut command = python.script("train.py");
    command
        .args(["--dataset", &options.dataset])
        .args(["--levels", &options.levels.to_string()])
        .args(["--minutes", &options.minutes.to_string()])
        .args(["--every", &options.every.to_string()])
        .args(["--test-images", TEST_IMAGES])
        .arg("--data-dir")
        .arg(&options.data_dir)
        .arg("--samples")
        .arg(options.runs.join("nflows-samples-idx3-ubyte"))
        .stderr(Stdio::inherit());
    serde_json::from_value(json(&mut command)?).context("`train.py` printed something else")
}

fn ours(flow: &Flow, options: &Options) -> Result<TrainingCurve> {
    eprintln!("training in flow for {} minutes", options.minutes);
    let folder = options.runs.join("flow");
    let time = |minutes: f64| format!("{}ms", (60e3 * minutes).round());
    let trained = flow
        .command("train")
        .args(["--dataset", &options.dataset, "--overwrite"])
        .args(["--levels", &options.levels.to_string()])
        .args(["--time-limit", &time(options.minutes)])
        .args(["--keep-interval", &time(options.every)])
        .arg("--data-dir")
        .arg(&options.data_dir)
        .arg("--out")
        .arg(&folder)
        .args(&options.train)
        .stdout(Stdio::null())
        .status();
    ensure!(
        trained.context("cannot run flow")?.success(),
        "`flow train` failed"
    );

    let last = folder.join("model.safetensors");
    let mut models = safetensors_in(&folder.join("models"))?;
    models.push(last.clone());
    let marks = models.iter().map(|model| measure(flow, model, options));
    let Checkpoint {
        header, weights, ..
    } = Checkpoint::load(&last, &Device::Cpu)?;
    let training = recorded(header)?;
    let images = training.progress.step * training.settings.batch_size as u64;
    Ok(TrainingCurve {
        parameters: weights.element_count(),
        images_per_second: images as f64 / training.progress.seconds,
        marks: marks.collect::<Result<_>>()?,
    })
}

/// The record of the training that a model is of.
fn recorded(header: Header) -> Result<TrainingRecord> {
    header
        .training
        .context("the model tells nothing of its training")
}

/// The time and the bits per dimension of a model that `flow train` has kept.
fn measure(flow: &Flow, model: &Path, options: &Options) -> Result<CurvePoint> {
    let training = recorded(Checkpoint::load(model, &Device::Cpu)?.header)?;
    let mut command = flow.command("eval");
    command
        .args(["--json", "--limit", TEST_IMAGES, "--checkpoint"])
        .arg(model)
        .arg("--data-dir")
        .arg(&options.data_dir);
    Ok(CurvePoint {
        seconds: training.progress.seconds,
        bits_per_dim: Some(number(&json(&mut command)?, "bits_per_dim")?),
    })
}

fn print(peer: &TrainingCurve, ours: &TrainingCurve) {
    println!(
        "\nnflows: {} parameters, {:.0} images/s; flow: {} parameters, {:.0} images/s; \
         bits per dimension on {TEST_IMAGES} test images\n",
        peer.parameters, peer.images_per_second, ours.parameters, ours.images_per_second
    );
    table::head(&["minutes", "nflows", "flow", "difference"]);
    for (peer, ours) in peer.marks.iter().zip(&ours.marks) {
        let bits =
            |value: Option<f64>| value.map_or("not finite".to_owned(), |bits| format!("{bits:.3}"));
        let difference = ours
            .bits_per_dim
            .zip(peer.bits_per_dim)
            .map(|(ours, peer)| ours - peer);
        table::row(&[
            format!("{:.1}", ours.seconds / 60.0),
            bits(peer.bits_per_dim),
            bits(ours.bits_per_dim),
            bits(difference),
        ]);
    }
}

/// In the order of their names.
fn safetensors_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = fs::read_dir(folder);
    // There is none where nothing was kept.
    let mut found: Vec<_> = read
        .into_iter()
        .flatten()
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    found.retain(|path| path.extension() == Some(OsStr::new("safetensors")));
    found.sort();
    Ok(found)
}

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(minutes) if (0.01..=10_000.0).contains(&minutes) => Ok(minutes),
        _ => Err("expected minutes, from 0.01 to 10000".to_owned()),
    }
}
