//! `cargo xtask compare-training`: nflows and `flow train` for the same time on the same machine, one after the other.
//!
//! Time is that of training alone for nflows. For `flow train` it includes what the command does after each epoch:
//! measuring, drawing and saving.

mod picture;

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use candle_core::Device;
use flow_glow::Checkpoint;
use serde::Deserialize;

use crate::bench_peers::{Place, build, check_python, json, number};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/train.py");

/// Both are measured on these, evenly spread over the test images of MNIST.
const TEST_IMAGES: &str = "2000";

#[derive(clap::Args)]
#[command(after_help = "\
Words after `--` go to `flow train`, such as `-- --preset base`.")]
pub(crate) struct Options {
    /// The Python with `torch`, `nflows` and `numpy`
    #[arg(long, default_value = "peers/bin/python")]
    python: PathBuf,

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

    /// The folder for both trainings, and for samples of nflows as `sample-quality --images` takes them
    #[arg(long, value_name = "DIR", default_value = "runs/beside-nflows")]
    runs: PathBuf,

    /// The folder fetched data sets lie in
    #[arg(long, value_name = "DIR", default_value = "data")]
    data_dir: PathBuf,

    /// Options of `flow train`
    #[arg(last = true, value_name = "OPTION")]
    train: Vec<String>,
}

/// A training that has been measured on its way.
#[derive(Deserialize)]
struct Course {
    parameters: usize,
    images_per_second: f64,
    marks: Vec<Mark>,
}

#[derive(Clone, Copy, Deserialize)]
struct Mark {
    /// Time spent training.
    seconds: f64,
    /// Nothing if it is not finite.
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
    check_python(&options.python, Place::Cpu)?;
    build()?;
    fs::create_dir_all(&options.runs)
        .with_context(|| format!("cannot make the folder `{}`", options.runs.display()))?;
    let peer = nflows(options)?;
    let ours = flow(options)?;
    print(&peer, &ours);
    let png = picture::png(&[("nflows", &peer.marks), ("flow", &ours.marks)])?;
    fs::write(&options.out, png)
        .with_context(|| format!("cannot write `{}`", options.out.display()))
}

fn nflows(options: &Options) -> Result<Course> {
    eprintln!("training in nflows for {} minutes", options.minutes);
    let mut command = Command::new(&options.python);
    command
        .arg(SCRIPT)
        .args(["--minutes", &options.minutes.to_string()])
        .args(["--every", &options.every.to_string()])
        .args(["--test-images", TEST_IMAGES])
        .arg("--data-dir")
        .arg(absolute(&options.data_dir)?)
        .arg("--samples")
        .arg(absolute(&options.runs.join("nflows-samples-idx3-ubyte"))?)
        .stderr(Stdio::inherit());
    serde_json::from_value(json(&mut command)?).context("`train.py` printed something else")
}

fn flow(options: &Options) -> Result<Course> {
    eprintln!("training in flow for {} minutes", options.minutes);
    let folder = absolute(&options.runs)?.join("flow");
    let time = |minutes: f64| format!("{}ms", (60e3 * minutes).round());
    let trained = binary()?
        .args(["train", "--dataset", "mnist", "--overwrite"])
        .args(["--time-limit", &time(options.minutes)])
        .args(["--keep-interval", &time(options.every)])
        .arg("--data-dir")
        .arg(absolute(&options.data_dir)?)
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
    let marks = models.iter().map(|model| mark(model, options));
    let Checkpoint {
        header, weights, ..
    } = Checkpoint::load(&last, &Device::Cpu)?;
    let training = header
        .training
        .context("the model tells nothing of its training")?;
    let images = training.progress.step * training.settings.batch_size as u64;
    Ok(Course {
        parameters: weights.element_count(),
        images_per_second: images as f64 / training.progress.seconds,
        marks: marks.collect::<Result<_>>()?,
    })
}

/// What a model of `flow train` has reached.
fn mark(model: &Path, options: &Options) -> Result<Mark> {
    let header = Checkpoint::load(model, &Device::Cpu)?.header;
    let training = header
        .training
        .context("the model tells nothing of its training")?;
    let mut command = binary()?;
    command
        .args(["eval", "--json", "--limit", TEST_IMAGES, "--checkpoint"])
        .arg(model)
        .arg("--data-dir")
        .arg(absolute(&options.data_dir)?);
    Ok(Mark {
        seconds: training.progress.seconds,
        bits_per_dim: Some(number(&json(&mut command)?, "bits_per_dim")?),
    })
}

fn print(peer: &Course, ours: &Course) {
    println!(
        "\nnflows: {} parameters, {:.0} images/s; flow: {} parameters, {:.0} images/s; \
         bits per dimension on {TEST_IMAGES} test images\n",
        peer.parameters, peer.images_per_second, ours.parameters, ours.images_per_second
    );
    println!("| minutes | nflows | flow | difference |");
    println!("|---|---|---|---|");
    for (peer, ours) in peer.marks.iter().zip(&ours.marks) {
        let bits =
            |value: Option<f64>| value.map_or("not finite".to_owned(), |bits| format!("{bits:.3}"));
        let difference = ours
            .bits_per_dim
            .zip(peer.bits_per_dim)
            .map(|(ours, peer)| ours - peer);
        println!(
            "| {:.1} | {} | {} | {} |",
            ours.seconds / 60.0,
            bits(peer.bits_per_dim),
            bits(ours.bits_per_dim),
            bits(difference)
        );
    }
}

/// The `flow` of the same build.
fn binary() -> Result<Command> {
    Ok(Command::new(env::current_exe()?.with_file_name("flow")))
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

/// Commands run in the root of the repository; paths were meant from here.
fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("cannot tell where `{}` is", path.display()))
}

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(minutes) if (0.01..=10_000.0).contains(&minutes) => Ok(minutes),
        _ => Err("expected minutes, from 0.01 to 10000".to_owned()),
    }
}
