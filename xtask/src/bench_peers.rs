//! `cargo xtask bench-peers`: `flow bench` and PyTorch on the same models, in turn on one machine.
//!
//! Absolute times drift on shared machines. Rounds therefore go through all competitors one after the
//! other, and what counts is the median over rounds of the ratio within each round.

mod vectors;

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::cuda;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/bench.py");

/// A model, how `flow` computes it, and whom it is compared with.
struct Comparison {
    /// Levels and steps, width, channels and size of the images.
    model: [&'static str; 5],
    ours: &'static [&'static str],
    peers: &'static [&'static str],
}

/// Many narrow steps, few wide ones, and the first in half precision.
const ON_CPU: [Comparison; 3] = [
    Comparison {
        model: ["2", "16", "128", "1", "28"],
        ours: &[],
        peers: &["nflows", "torch", "torch --compile"],
    },
    Comparison {
        model: ["2", "4", "512", "1", "28"],
        ours: &[],
        peers: &["nflows", "torch"],
    },
    Comparison {
        model: ["2", "16", "128", "1", "28"],
        ours: &["--precision", "bf16"],
        peers: &["torch --precision bf16", "torch --precision bf16 --compile"],
    },
];

/// The paper's model in full precision, and with factors rounded to TF32, which half precision is compared with too.
const ON_CUDA: [Comparison; 2] = [
    Comparison {
        model: ["3", "32", "512", "3", "32"],
        ours: &[],
        peers: &["nflows", "torch", "torch --compile"],
    },
    Comparison {
        model: ["3", "32", "512", "3", "32"],
        ours: &["--tf32"],
        peers: &[
            "nflows --precision tf32",
            "torch --precision tf32",
            "torch --precision tf32 --compile",
            "torch --precision bf16",
            "torch --precision bf16 --compile",
        ],
    },
];

/// Where both sides compute.
#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
pub(crate) enum Place {
    Cpu,
    Cuda,
}

impl Place {
    fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        }
    }
}

/// What each competitor is measured in.
const FIGURES: [(&str, &str); 4] = [
    ("train_img_s", "training, images/s"),
    ("log_prob_img_s", "log_prob, images/s"),
    ("sample_img_s", "sample, images/s"),
    ("peak_mb", "peak memory, MB"),
];

/// Changes that should each double the time of a step.
const DOUBLINGS: [(&str, [&str; 3]); 3] = [
    ("--steps", ["8", "16", "32"]),
    ("--batch-size", ["32", "64", "128"]),
    ("--size", ["20", "28", "40"]),
];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The Python with `torch`, `nflows` and `numpy`.
    #[arg(long, default_value = "peers/bin/python")]
    python: PathBuf,
    /// Where both sides compute; on `cuda`, `flow` is built as `cuda-build` does, and figures are those of the device.
    #[arg(long, value_enum, default_value = "cpu", conflicts_with = "vectors")]
    device: Place,
    /// Rounds through all competitors.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(3..))]
    rounds: u16,
    /// Flows of vectors, by likelihood and time to train; Python needs `scikit-learn` too.
    #[arg(long, conflicts_with = "rounds")]
    vectors: bool,
    /// Steps of training with `--vectors`; a tenth of them on the small table.
    #[arg(long, default_value_t = 1000, requires = "vectors", value_parser = clap::value_parser!(u32).range(10..))]
    steps: u32,
    /// Trainings of every flow with `--vectors`, each with a seed of its own.
    #[arg(long, default_value_t = 3, requires = "vectors", value_parser = clap::value_parser!(u16).range(2..))]
    seeds: u16,
}

/// Measures and prints tables in Markdown.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.vectors {
        return vectors::run(
            &options.python,
            options.steps as usize,
            u64::from(options.seeds),
        );
    }
    check_python(&options.python, options.device)?;
    if options.device == Place::Cuda {
        let flow = cuda::build_flow()?;
        for comparison in &ON_CUDA {
            compare(options, &flow, comparison)?;
        }
        return Ok(());
    }
    build()?;
    for comparison in &ON_CPU {
        compare(options, &beside_this()?, comparison)?;
    }
    doublings(options.rounds)
}

fn compare(options: &Options, flow: &Path, comparison: &Comparison) -> Result<()> {
    let Comparison { model, ours, peers } = comparison;
    let [levels, steps, width, channels, size] = model;
    let names = ["--levels", "--steps", "--width", "--channels", "--size"];
    let device = options.device.name();
    let shared: Vec<_> = names
        .into_iter()
        .zip(*model)
        .chain([("--device", device)])
        .flat_map(|(name, value)| [name, value])
        .collect();
    let title = format!(
        "{levels} levels of {steps} steps, width {width}, batch 64, {size}×{size}×{channels}, {device}"
    );
    let arguments = [&["bench", "--json"], &shared[..], ours].concat();
    let mut rounds = Vec::new();
    for round in 1..=options.rounds {
        eprintln!("{title}: round {round} of {}", options.rounds);
        let ours = json(Command::new(flow).args(&arguments))?;
        let peers = peers.iter().map(|peer| {
            let mut command = Command::new(&options.python);
            json(command.arg(SCRIPT).args(peer.split(' ')).args(&shared))
        });
        rounds.push((ours, peers.collect::<Result<Vec<_>>>()?));
    }
    println!("\n{title}; medians of {} rounds\n", options.rounds);
    println!("| | flow {} | {} |", ours.join(" "), peers.join(" | "));
    println!("|---|---{}|", "|---".repeat(peers.len()));
    for (figure, name) in FIGURES {
        let ours = rounds
            .iter()
            .map(|(ours, _)| number(ours, figure))
            .collect::<Result<Vec<_>>>()?;
        let mut cells = vec![name.to_owned(), format!("{:.0}", median(ours))];
        for peer in 0..peers.len() {
            let pairs = rounds
                .iter()
                .map(|(ours, peers)| Ok((number(&peers[peer], figure)?, number(ours, figure)?)));
            let pairs = pairs.collect::<Result<Vec<_>>>()?;
            let value = median(pairs.iter().map(|(peer, _)| *peer).collect());
            let ratio = median(pairs.iter().map(|(peer, ours)| ours / peer).collect());
            cells.push(format!("{value:.0} (flow: {ratio:.2}×)"));
        }
        println!("| {} |", cells.join(" | "));
    }
    let share = rounds
        .iter()
        .map(|(ours, _)| number(ours, "train_share_of_matmul"));
    let share = median(share.collect::<Result<Vec<_>>>()?);
    println!(
        "\nTraining runs at {:.0} % of this machine's rate of matrix products in f32.",
        100.0 * share
    );
    Ok(())
}

fn doublings(rounds: u16) -> Result<()> {
    println!(
        "\nSeconds of a training step as a model or batch doubles (20, 28 and 40 pixels a side: 1.96 and 2.04 times as many)\n"
    );
    println!("| | seconds a step | growth |");
    println!("|---|---|---|");
    for (option, values) in DOUBLINGS {
        let mut seconds = [const { Vec::new() }; 3];
        for _ in 0..rounds {
            for (seconds, value) in seconds.iter_mut().zip(values) {
                let mut model = vec!["--width", "128", option, value];
                if option != "--steps" {
                    model.extend(["--steps", "16"]);
                }
                let result = flow(&model)?;
                seconds.push(number(&result, "batch")? / number(&result, "train_img_s")?);
            }
        }
        let [a, b, c] = seconds.map(median);
        let values = values.join(", ");
        println!(
            "| `{option}` {values} | {a:.3}, {b:.3}, {c:.3} | {:.2}×, {:.2}× |",
            b / a,
            c / b
        );
    }
    Ok(())
}

/// An error if this is no Python with what the scripts need on `device`.
pub(crate) fn check_python(python: &Path, device: Place) -> Result<()> {
    let succeeds = |code: &str| {
        let run = Command::new(python).args(["-c", code]).output();
        run.is_ok_and(|output| output.status.success())
    };
    ensure!(
        succeeds("import torch, nflows, numpy"),
        "`{0}` is no Python with torch, nflows and numpy; make one with `python3 -m venv peers && peers/bin/pip install torch nflows numpy`, or name one with `--python`",
        python.display()
    );
    ensure!(
        device == Place::Cpu || succeeds("import torch; assert torch.cuda.is_available()"),
        "the torch of `{}` sees no GPU",
        python.display()
    );
    Ok(())
}

/// Brings `flow` up to date.
pub(crate) fn build() -> Result<()> {
    let build = Command::new(env!("CARGO"))
        .args(["build", "-p", "flow-cli"])
        .current_dir(ROOT)
        .status();
    ensure!(
        build.context("cannot run cargo")?.success(),
        "flow-cli does not build"
    );
    Ok(())
}

/// What `flow bench --json` prints with these options.
pub(crate) fn flow(arguments: &[&str]) -> Result<Value> {
    json(
        Command::new(beside_this()?)
            .args(["bench", "--json"])
            .args(arguments),
    )
}

/// `flow` of the build that this program is of: both lie side by side, wherever that is.
pub(crate) fn beside_this() -> Result<PathBuf> {
    Ok(env::current_exe()?.with_file_name("flow"))
}

/// What a command prints.
pub(crate) fn json(command: &mut Command) -> Result<Value> {
    let output = command
        .current_dir(ROOT)
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{command:?} failed: {}",
        stderr.trim()
    );
    serde_json::from_slice(&output.stdout).with_context(|| format!("{command:?} printed no JSON"))
}

/// A figure of what [`flow`] gives.
pub(crate) fn number(result: &Value, name: &str) -> Result<f64> {
    result[name]
        .as_f64()
        .with_context(|| format!("the figure `{name}` is missing"))
}

/// The middle value.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
