//! `flow-bench growth`: time and memory of a training step as a model or a batch grows.

use anyhow::Result;
use serde_json::Value;

use crate::tools::{Flow, number, statistics::median, table};

/// Options of `flow bench` whose values grow, the values, and options that stay. The arithmetic of a
/// step is proportional to the value; to its square for `--size`, and between both for `--width`.
const LADDERS: [(&str, &[&str], &[&str]); 5] = [
    ("--steps", &["8", "16", "32", "64"], &["--width", "128"]),
    (
        "--width",
        &["128", "256", "512", "1024"],
        &["--steps", "4", "--batch-size", "32"],
    ),
    (
        "--batch-size",
        &["32", "64", "128", "256", "512"],
        &["--width", "128", "--steps", "16"],
    ),
    (
        "--size",
        &["20", "28", "40", "64"],
        &["--width", "128", "--steps", "16"],
    ),
    (
        "--size",
        &["32", "64"],
        &[
            "--channels",
            "3",
            "--levels",
            "3",
            "--width",
            "128",
            "--steps",
            "8",
        ],
    ),
];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Rounds through all values of an option
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
}

/// Measures in turn and prints a table in Markdown.
pub(crate) fn run(options: &Options) -> Result<()> {
    let flow = Flow::build()?;
    table::head(&["", "seconds a step", "growth", "arithmetic", "peak MB"]);
    for (option, values, others) in LADDERS {
        let mut found = vec![Vec::new(); values.len()];
        for _ in 0..options.rounds {
            for (found, value) in found.iter_mut().zip(values) {
                found.push(flow.bench(&[others, &["--iters", "3", option, value]].concat())?);
            }
        }
        let of = |measure: fn(&Value) -> Result<f64>| {
            let medians = found.iter().map(|rounds| {
                let figures = rounds.iter().map(measure);
                Ok(median(figures.collect::<Result<Vec<_>>>()?))
            });
            medians.collect::<Result<Vec<f64>>>()
        };
        let seconds = of(|found| Ok(number(found, "batch")? / number(found, "train_img_s")?))?;
        let arithmetic = of(|found| {
            let seconds = number(found, "batch")? / number(found, "train_img_s")?;
            Ok(seconds * number(found, "train_gflop_s")?)
        })?;
        let shown = |numbers: &[f64], decimals: usize| {
            let shown = numbers.iter().map(|number| format!("{number:.decimals$}"));
            shown.collect::<Vec<_>>().join(", ")
        };
        let growth = |numbers: &[f64]| {
            let factors = numbers
                .windows(2)
                .map(|pair| format!("{:.2}×", pair[1] / pair[0]));
            factors.collect::<Vec<_>>().join(", ")
        };
        table::row(&[
            format!(
                "`{}` {}",
                [others, &[option]].concat().join(" "),
                values.join(", ")
            ),
            shown(&seconds, 3),
            growth(&seconds),
            growth(&arithmetic),
            shown(&of(|found| number(found, "peak_mb"))?, 0),
        ]);
    }
    Ok(())
}
