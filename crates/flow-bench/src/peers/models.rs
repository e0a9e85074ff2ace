//! Models that are timed beside PyTorch.

use std::iter::zip;

use anyhow::Result;
use serde_json::Value;

use super::Options;
use crate::tools::{Flow, Python, json, number, statistics::median, table};

/// A model, the settings of `flow`, and the peers it is compared with.
pub(super) struct Comparison {
    /// Levels and steps, width, channels and size of the images.
    model: [&'static str; 5],
    ours: &'static [&'static str],
    peers: &'static [&'static str],
}

/// Many narrow steps, few wide ones, and the first in half precision.
pub(super) const ON_CPU: [Comparison; 3] = [
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

/// The paper's model in full precision, and with factors rounded to TF32, which half precision is
/// compared with too.
pub(super) const ON_CUDA: [Comparison; 2] = [
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

/// Figures of each competitor, by their names in JSON and in the table.
const FIGURES: [(&str, &str); 4] = [
    ("train_img_s", "training, images/s"),
    ("log_prob_img_s", "log_prob, images/s"),
    ("sample_img_s", "sample, images/s"),
    ("peak_mb", "peak memory, MB"),
];

/// The figures of a round: ours, and those of each peer.
type Round = (Value, Vec<Value>);

impl Comparison {
    /// Measures in turn and prints a table.
    pub(super) fn run(&self, options: &Options, flow: &Flow, python: &Python) -> Result<()> {
        let [levels, steps, width, channels, size] = self.model;
        let title = format!(
            "{levels} levels of {steps} steps, width {width}, batch 64, {size}×{size}×{channels}, {}",
            options.device.name()
        );
        let mut rounds = Vec::new();
        for round in 1..=options.rounds {
            eprintln!("{title}: round {round} of {}", options.rounds);
            rounds.push(self.round(options, flow, python)?);
        }
        println!("\n{title}; medians of {} rounds\n", options.rounds);
        self.print(&rounds)
    }

    fn round(&self, options: &Options, flow: &Flow, python: &Python) -> Result<Round> {
        let names = ["--levels", "--steps", "--width", "--channels", "--size"];
        let model = zip(names, self.model).chain([("--device", options.device.name())]);
        let shared: Vec<_> = model.flat_map(|(name, value)| [name, value]).collect();
        let ours = flow.bench(&[&shared[..], self.ours].concat())?;
        let peers = self.peers.iter().map(|peer| {
            let mut command = python.script("bench.py");
            json(command.args(peer.split(' ')).args(&shared))
        });
        Ok((ours, peers.collect::<Result<_>>()?))
    }

    fn print(&self, rounds: &[Round]) -> Result<()> {
        let ours = [&["flow"], self.ours].concat().join(" ");
        table::head(&[&["", &ours], self.peers].concat());
        for (figure, name) in FIGURES {
            let ours = values(rounds, |(ours, _)| number(ours, figure))?;
            let mut cells = vec![name.to_owned(), format!("{:.0}", median(ours.clone()))];
            for peer in 0..self.peers.len() {
                let peers = values(rounds, |(_, peers)| number(&peers[peer], figure))?;
                let ratios = zip(&ours, &peers).map(|(ours, peer)| ours / peer);
                let (ratio, value) = (median(ratios), median(peers.clone()));
                cells.push(format!("{value:.0} (flow: {ratio:.2}×)"));
            }
            table::row(&cells);
        }
        let shares = values(rounds, |(ours, _)| number(ours, "train_share_of_matmul"))?;
        println!(
            "\nTraining runs at {:.0} % of this machine's rate of matrix products in f32.",
            100.0 * median(shares)
        );
        Ok(())
    }
}

fn values(rounds: &[Round], value: impl Fn(&Round) -> Result<f64>) -> Result<Vec<f64>> {
    rounds.iter().map(value).collect()
}
