//! `flow-bench memory`: savings and costs of `train --memory constant`.

use anyhow::{Context, Result};

use crate::tools::{Flow, number, statistics::median, stdout, table};

/// Rounds through plain and constant, for the time of a step.
const ROUNDS: usize = 3;

/// Depths of a model whose activations fit.
const STEPS: [&str; 3] = ["16", "32", "64"];

/// A learning rate at which models of all these depths train without rollbacks.
const LEARNING_RATE: &str = "0.001";

/// The paper's model, whose activations would fill the memory of most machines.
const PAPER: &str = "--levels 3 --steps 32 --width 512 --size 32 --channels 3";

/// Measures and prints tables in Markdown.
pub(crate) fn run() -> Result<()> {
    let flow = Flow::build()?;
    println!(
        "`flow train` on the bundled digits, 2 levels of K steps, width 128, batch 64; steps timed \
         by `flow bench`, medians of {ROUNDS} rounds\n"
    );
    table::head(&[
        "K",
        "peak memory, plain, MB",
        "constant, MB",
        "images/s, plain",
        "constant",
        "time of a step",
    ]);
    let mut peaks = Vec::new();
    for steps in STEPS {
        peaks.push(compare(&flow, steps)?);
    }
    println!(
        "\nFrom the first to the last, constant grows by {:.0} %.",
        100.0 * (peaks[peaks.len() - 1] / peaks[0] - 1.0)
    );
    let options: Vec<_> = PAPER.split(' ').collect();
    let paper = flow.bench(&[&options, &["--memory", "constant", "--iters", "1"][..]].concat())?;
    println!(
        "\n3 levels of 32 steps, width 512, batch 64, 32×32×3, constant: {:.0} MB, {:.1} images/s",
        number(&paper, "peak_mb")?,
        number(&paper, "train_img_s")?
    );
    Ok(())
}

/// Prints the row of a depth and returns the peak of constant memory, in MB.
fn compare(flow: &Flow, steps: &str) -> Result<f64> {
    let plain = peak_of_training(flow, steps, "plain")?;
    let constant = peak_of_training(flow, steps, "constant")?;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push([
            images_s(flow, steps, "plain")?,
            images_s(flow, steps, "constant")?,
        ]);
    }
    let middle = |figure: fn(&[f64; 2]) -> f64| median(rounds.iter().map(figure));
    table::row(&[
        steps.to_owned(),
        format!("{plain:.0}"),
        format!("{constant:.0}"),
        format!("{:.0}", middle(|[plain, _]| *plain)),
        format!("{:.0}", middle(|[_, constant]| *constant)),
        format!("{:.2} ×", middle(|[plain, constant]| plain / constant)),
    ]);
    Ok(constant)
}

fn images_s(flow: &Flow, steps: &str, memory: &str) -> Result<f64> {
    let result = flow.bench(&["--steps", steps, "--width", "128", "--memory", memory])?;
    number(&result, "train_img_s")
}

/// The peak that a whole training says it had, from start to samples, in MB.
fn peak_of_training(flow: &Flow, steps: &str, memory: &str) -> Result<f64> {
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
    let options = [&model[..], &training].concat();
    let printed = stdout(&mut flow.train(&folder.path().join("run"), &options))?;
    let line = printed.lines().find_map(|line| line.strip_prefix("memory"));
    let peak = line.and_then(|line| line.split_whitespace().next());
    peak.and_then(|peak| peak.parse().ok())
        .context("flow train does not tell its memory here")
}
