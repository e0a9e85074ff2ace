//! `cargo xtask bench-memory`: what `train --memory constant` saves, and what it costs.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::bench_peers::{beside_this, build, flow, median, number};

/// Rounds through plain and constant, for the time of a step.
const ROUNDS: usize = 3;

/// Depths of a model whose activations fit.
const STEPS: [&str; 3] = ["16", "32", "64"];

/// A rate at which models of any of these depths begin without a setback.
const LEARNING_RATE: &str = "0.001";

/// The paper's model, whose activations would fill the memory of most machines.
const PAPER: [&str; 10] = [
    "--levels",
    "3",
    "--steps",
    "32",
    "--width",
    "512",
    "--size",
    "32",
    "--channels",
    "3",
];

/// Measures and prints tables in Markdown.
pub(crate) fn run() -> Result<()> {
    build()?;
    println!(
        "`flow train` on the bundled digits, 2 levels of K steps, width 128, batch 64; steps timed by `flow bench`, medians \
         of {ROUNDS} rounds\n"
    );
    println!(
        "| K | peak memory, plain, MB | constant, MB | images/s, plain | constant | time of a step |"
    );
    println!("|---|---|---|---|---|---|");
    let mut peaks = Vec::new();
    for steps in STEPS {
        let (plain, constant) = (
            peak_of_training(steps, "plain")?,
            peak_of_training(steps, "constant")?,
        );
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push([images_s(steps, "plain")?, images_s(steps, "constant")?]);
        }
        let middle = |figure: fn(&[f64; 2]) -> f64| median(rounds.iter().map(figure).collect());
        println!(
            "| {steps} | {plain:.0} | {constant:.0} | {:.0} | {:.0} | {:.2} × |",
            middle(|[plain, _]| *plain),
            middle(|[_, constant]| *constant),
            middle(|[plain, constant]| plain / constant),
        );
        peaks.push(constant);
    }
    let growth = peaks[peaks.len() - 1] / peaks[0] - 1.0;
    println!(
        "\nFrom the first to the last, constant grows by {:.0} %.",
        100.0 * growth
    );
    let paper = flow(&[&PAPER[..], &["--memory", "constant", "--iters", "1"]].concat())?;
    println!(
        "\n3 levels of 32 steps, width 512, batch 64, 32×32×3, constant: {:.0} MB, {:.1} images/s",
        number(&paper, "peak_mb")?,
        number(&paper, "train_img_s")?
    );
    Ok(())
}

fn images_s(steps: &str, memory: &str) -> Result<f64> {
    let result = flow(&["--steps", steps, "--width", "128", "--memory", memory])?;
    number(&result, "train_img_s")
}

/// The peak that a whole training says it had, from start to samples.
fn peak_of_training(steps: &str, memory: &str) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let model = ["--preset", "base", "--steps", steps, "--batch-size", "64"];
    let training = [
        "--memory",
        memory,
        "--lr",
        LEARNING_RATE,
        "--max-steps",
        "8",
    ];
    let output = Command::new(beside_this()?)
        .arg("train")
        .args(model)
        .args(training)
        // The digits that `flow` brings along, whatever was fetched.
        .args([
            "--data-dir",
            concat!(env!("CARGO_MANIFEST_DIR"), "/../assets"),
        ])
        .arg("--out")
        .arg(folder.path().join("run"))
        .output()
        .context("cannot run flow")?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "flow train failed: {}",
        stderr.trim()
    );
    let stdout = String::from_utf8_lossy(&output.stdout);
    let line = stdout.lines().find_map(|line| line.strip_prefix("memory"));
    let peak = line.and_then(|line| line.split_whitespace().next());
    peak.and_then(|peak| peak.parse().ok())
        .context("flow train does not tell its memory here")
}
