//! `flow-bench ranks`: one process with two threads beside two processes with one, in turn.

use std::fs;

use anyhow::Result;
use serde_json::Value;

use crate::tools::{Flow, number, statistics::median, stdout, table, under_mpi};

/// Rounds through both.
const ROUNDS: usize = 3;

/// Steps of a training; the first ones do not count.
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
    let flow = Flow::build_with_mpi()?;
    println!("Batches of 64, 28×28, medians of {ROUNDS} rounds of {STEPS} steps\n");
    table::head(&[
        "model",
        "images/s, one process, two threads",
        "two processes, one thread each",
        "ratio",
        "same losses",
    ]);
    for (name, options) in MODELS {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push((train(&flow, options, false)?, train(&flow, options, true)?));
        }
        let middle =
            |figure: fn(&(TrainingCurve, TrainingCurve)) -> f64| median(rounds.iter().map(figure));
        let differences = rounds.iter().flat_map(|(one, two)| {
            let losses = one.losses.iter().zip(&two.losses);
            losses.map(|(one, two)| (one - two).abs())
        });
        table::row(&[
            name.to_owned(),
            format!("{:.0}", middle(|(one, _)| one.images_s)),
            format!("{:.0}", middle(|(_, two)| two.images_s)),
            format!("{:.2}", middle(|(one, two)| two.images_s / one.images_s)),
            format!("to {:.0e}", differences.fold(0.0, f64::max)),
        ]);
    }
    Ok(())
}

/// The speed of a training, and the loss of every line that it wrote.
struct TrainingCurve {
    images_s: f64,
    losses: Vec<f64>,
}

fn train(flow: &Flow, options: &[&str], shared: bool) -> Result<TrainingCurve> {
    let folder = tempfile::tempdir()?;
    let run = folder.path().join("run");
    let batches = ["--batch-size", "64", "--max-steps", STEPS];
    let noise = ["--dequantization", "uniform"];
    let mut command = flow.train(&run, &[&batches[..], &noise, options].concat());
    if shared {
        command.args(["--distributed", "mpi", "--threads", "1"]);
        command = under_mpi(&command);
    } else {
        command.args(["--threads", "2"]);
    }
    stdout(&mut command)?;
    let metrics = fs::read_to_string(run.join("metrics.jsonl"))?;
    let mut lines = metrics
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
    Ok(TrainingCurve {
        images_s: median(speeds.collect::<Result<Vec<_>>>()?),
        losses: losses.collect::<Result<_>>()?,
    })
}
