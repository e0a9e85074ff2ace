//! `cargo xtask bench-memory`: what `train --memory constant` saves, and what it costs.

use anyhow::Result;

use crate::bench_peers::{build, flow, median, number};

/// Rounds through plain and constant.
const ROUNDS: usize = 3;

/// Depths of a model whose activations fit.
const STEPS: [&str; 3] = ["16", "32", "64"];

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
    println!("2 levels of K steps, width 128, batch 64, 28×28; medians of {ROUNDS} rounds\n");
    println!(
        "| K | peak memory, plain, MB | constant, MB | images/s, plain | constant | time of a step |"
    );
    println!("|---|---|---|---|---|---|");
    for steps in STEPS {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push((measure(steps, "plain")?, measure(steps, "constant")?));
        }
        let middle =
            |figure: fn(&(Figures, Figures)) -> f64| median(rounds.iter().map(figure).collect());
        println!(
            "| {steps} | {:.0} | {:.0} | {:.0} | {:.0} | {:.2} × |",
            middle(|(plain, _)| plain.peak_mb),
            middle(|(_, constant)| constant.peak_mb),
            middle(|(plain, _)| plain.images_s),
            middle(|(_, constant)| constant.images_s),
            middle(|(plain, constant)| plain.images_s / constant.images_s),
        );
    }
    let paper = flow(&[&PAPER[..], &["--memory", "constant", "--iters", "1"]].concat())?;
    println!(
        "\n3 levels of 32 steps, width 512, batch 64, 32×32×3, constant: {:.0} MB, {:.1} images/s",
        number(&paper, "peak_mb")?,
        number(&paper, "train_img_s")?
    );
    Ok(())
}

struct Figures {
    peak_mb: f64,
    images_s: f64,
}

fn measure(steps: &str, memory: &str) -> Result<Figures> {
    let result = flow(&["--steps", steps, "--width", "128", "--memory", memory])?;
    Ok(Figures {
        peak_mb: number(&result, "peak_mb")?,
        images_s: number(&result, "train_img_s")?,
    })
}
