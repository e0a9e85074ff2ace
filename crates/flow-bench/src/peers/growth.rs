//! The time of a training step as a model or a batch doubles.

use anyhow::Result;

use crate::tools::{Flow, number, statistics::median, table};

/// Changes that should each double the time of a step.
const DOUBLINGS: [(&str, [&str; 3]); 3] = [
    ("--steps", ["8", "16", "32"]),
    ("--batch-size", ["32", "64", "128"]),
    ("--size", ["20", "28", "40"]),
];

/// Measures in turn and prints a table.
pub(super) fn run(flow: &Flow, rounds: u16) -> Result<()> {
    println!(
        "\nSeconds of a training step as a model or batch doubles (20, 28 and 40 pixels a side: \
         1.96 and 2.04 times as many)\n"
    );
    table::head(&["", "seconds a step", "growth"]);
    for (option, values) in DOUBLINGS {
        let mut seconds = [const { Vec::new() }; 3];
        for _ in 0..rounds {
            for (seconds, value) in seconds.iter_mut().zip(values) {
                let mut model = vec!["--width", "128", option, value];
                if option != "--steps" {
                    model.extend(["--steps", "16"]);
                }
                let result = flow.bench(&model)?;
                seconds.push(number(&result, "batch")? / number(&result, "train_img_s")?);
            }
        }
        let [a, b, c] = seconds.map(median);
        table::row(&[
            format!("`{option}` {}", values.join(", ")),
            format!("{a:.3}, {b:.3}, {c:.3}"),
            format!("{:.2}×, {:.2}×", b / a, c / b),
        ]);
    }
    Ok(())
}
