//! `cargo xtask bench-memory`: what `train --memory constant` saves, and what it costs.

use anyhow::Result;

use crate::bench_peers::{build, flow, number};

/// The models of the table, as options of `flow bench`, and what they are.
const MODELS: [(&str, &[&str], &[&str]); 4] = [
    (
        "L 2, K 16, width 128, 28×28",
        &["--iters", "3", "--steps", "16", "--width", "128"],
        &["plain", "constant"],
    ),
    (
        "L 2, K 32, width 128, 28×28",
        &["--iters", "3", "--steps", "32", "--width", "128"],
        &["plain", "constant"],
    ),
    (
        "L 2, K 64, width 128, 28×28",
        &["--iters", "3", "--steps", "64", "--width", "128"],
        &["plain", "constant"],
    ),
    // Its activations would fill the memory of most machines.
    (
        "L 3, K 32, width 512, 32×32×3",
        &[
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
        ],
        &["constant"],
    ),
];

/// Measures and prints a table in Markdown.
pub(crate) fn run() -> Result<()> {
    build()?;
    println!("| model, batch 64 | `--memory` | peak of the process, MB | training, images/s |");
    println!("|---|---|---|---|");
    for (name, model, memories) in MODELS {
        for memory in memories {
            let result = flow(&[model, &["--memory", memory]].concat())?;
            let (peak, rate) = (number(&result, "peak_mb")?, number(&result, "train_img_s")?);
            println!("| {name} | {memory} | {peak:.0} | {rate:.1} |");
        }
    }
    Ok(())
}
