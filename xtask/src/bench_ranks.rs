//! `cargo xtask bench-ranks`: one process with two threads beside two processes with one, in turn.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::bench_peers::{median, number};

/// Rounds through both.
const ROUNDS: usize = 3;

/// Steps of a training, the first of which do not count.
const STEPS: &str = "60";

/// Options of the models, whose batches are of 64.
const MODELS: [(&str, &[&str]); 2] = [
    ("2 levels of 8 steps, width 64", &[]),
    (
        "2 levels of 16 steps, width 128",
        &["--steps", "16", "--width", "128"],
    ),
];

/// Measures, and prints a table in Markdown.
pub(crate) fn run() -> Result<()> {
    let build = Command::new(env!("CARGO"))
        .args(["build", "--workspace", "--features", "flow-cli/mpi"])
        .args(["--bin", "flow"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status();
    ensure!(
        build.context("cannot run cargo")?.success(),
        "flow-cli does not build with MPI"
    );
    println!("Batches of 64, 28×28, medians of {ROUNDS} rounds of {STEPS} steps\n");
    println!(
        "| model | images/s, one process, two threads | two processes, one thread each | ratio | same losses |"
    );
    println!("|---|---|---|---|---|");
    for (name, options) in MODELS {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push((train(options, false)?, train(options, true)?));
        }
        let middle =
            |figure: fn(&(Course, Course)) -> f64| median(rounds.iter().map(figure).collect());
        let differences = rounds.iter().flat_map(|(one, two)| {
            let losses = one.losses.iter().zip(&two.losses);
            losses.map(|(one, two)| (one - two).abs())
        });
        println!(
            "| {name} | {:.0} | {:.0} | {:.2} | to {:.0e} |",
            middle(|(one, _)| one.images_s),
            middle(|(_, two)| two.images_s),
            middle(|(one, two)| two.images_s / one.images_s),
            differences.fold(0.0, f64::max)
        );
    }
    Ok(())
}

/// What a training wrote.
struct Course {
    images_s: f64,
    losses: Vec<f64>,
}

fn train(options: &[&str], shared: bool) -> Result<Course> {
    let folder = env::temp_dir().join(format!("flow-bench-ranks-{}", std::process::id()));
    let binary = env::current_exe()?.with_file_name("flow");
    let output = command(&binary, &folder, options, shared).output()?;
    ensure!(
        output.status.success(),
        "the training failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let metrics = fs::read_to_string(folder.join("metrics.jsonl"));
    fs::remove_dir_all(&folder)?;
    let mut lines = metrics?
        .lines()
        .map(serde_json::from_str)
        .collect::<serde_json::Result<Vec<Value>>>()?;
    // Batches that were refused have lines of their own.
    lines.retain(|line| line.get("cause").is_none());
    // The first line is of steps that fill buffers.
    let speeds = lines
        .iter()
        .skip(1)
        .map(|line| number(line, "images_per_second"));
    let losses = lines.iter().map(|line| number(line, "train_bits_per_dim"));
    Ok(Course {
        images_s: median(speeds.collect::<Result<_>>()?),
        losses: losses.collect::<Result<_>>()?,
    })
}

fn command(binary: &PathBuf, folder: &Path, options: &[&str], shared: bool) -> Command {
    let mut command = if shared {
        let mut command = Command::new("mpirun");
        command.args(["-n", "2", "--oversubscribe"]).arg(binary);
        command
    } else {
        Command::new(binary)
    };
    command
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        .args(["train", "--batch-size", "64", "--max-steps", STEPS])
        .args(["--dequantization", "uniform"])
        .args(options)
        .arg("--out")
        .arg(folder)
        // The bundled data set is everywhere, whatever was fetched.
        .args([
            "--data-dir",
            concat!(env!("CARGO_MANIFEST_DIR"), "/../assets"),
        ])
        .arg("--overwrite");
    if shared {
        command.args(["--distributed", "mpi", "--threads", "1"]);
    } else {
        command.args(["--threads", "2"]);
    }
    command
}
