//! `cargo xtask bench-peers --vectors`: flows of vectors here and in nflows, of the same sizes, on the same data
//! for as many steps, one after the other.

use std::{
    ops::ControlFlow,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Tensor};
use flow_core::{
    Chain, Flow,
    params::{ParamBuilder, ParamStore},
    recipes::{self, Recipe},
    train::{self, FitSettings},
};

use super::{ROOT, json, number};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/vectors.py");

/// What the script makes, and which share of the steps is taken on it: on few samples more would overfit.
const SETS: [(&str, usize); 5] = [
    ("two_moons", 1),
    ("checkerboard", 1),
    ("eight_gaussians", 1),
    ("spirals", 1),
    ("breast_cancer", 10),
];

type Make = fn(usize, &Recipe, ParamBuilder) -> flow_core::Result<Flow<Chain>>;

const FLOWS: [(&str, Make); 3] = [
    ("nsf", recipes::neural_spline_flow),
    ("realnvp", recipes::realnvp),
    ("maf", recipes::masked_autoregressive_flow),
];

/// What a trained flow has to show.
struct Outcome {
    seconds: f64,
    /// Of every test sample, in nats.
    log_prob: Vec<f64>,
}

pub(super) fn run(python: &Path, steps: usize) -> Result<()> {
    let folder = tempfile::tempdir().context("cannot make a folder for the data")?;
    let made = Command::new(python)
        .args([SCRIPT, "data"])
        .arg(folder.path())
        .current_dir(ROOT)
        .output()
        .with_context(|| format!("cannot run `{}`", python.display()))?;
    if !made.status.success() {
        bail!(
            "`{0}` could not make the data; `peers/bin/pip install torch nflows numpy scikit-learn` gets what it needs: {1}",
            python.display(),
            String::from_utf8_lossy(&made.stderr).trim()
        );
    }
    let Recipe {
        layers,
        width,
        blocks,
        ..
    } = Recipe::default();
    println!(
        "{layers} layers, networks of {blocks} residual blocks of width {width}, batches of {}, {steps} steps ({} on breast_cancer); nats\n",
        settings(steps).batch_size,
        steps / 10
    );
    println!(
        "| data | flow | test ln p, here | test ln p, nflows | difference | seconds, here | seconds, nflows | ratio |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (name, share) in SETS {
        for (flow, make) in FLOWS {
            let ours = ours(folder.path(), name, make, steps / share)?;
            let peers = peers(python, folder.path(), name, flow, steps / share)?;
            println!("{}", row(name, flow, &ours, &peers)?);
        }
    }
    Ok(())
}

fn settings(steps: usize) -> FitSettings {
    FitSettings {
        epochs: usize::MAX,
        max_steps: steps,
        validation: 0.0,
        patience: usize::MAX,
        keep_best: false,
        ..FitSettings::default()
    }
}

fn ours(folder: &Path, name: &str, make: Make, steps: usize) -> Result<Outcome> {
    let load = |part: &str| Tensor::read_npy(folder.join(format!("{name}.{part}.npy")));
    let (x, test) = (load("train")?, load("test")?);
    let params = ParamStore::new(0);
    let builder = params.builder(DType::F32, &Device::Cpu);
    let flow = make(x.dim(1)?, &Recipe::default(), builder)?;
    let start = Instant::now();
    train::fit(&flow, &params, &x, &settings(steps), |_| {
        ControlFlow::Continue(())
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let log_prob = flow.log_prob(&test)?.to_dtype(DType::F64)?.to_vec1()?;
    Ok(Outcome { seconds, log_prob })
}

fn peers(python: &Path, folder: &Path, name: &str, flow: &str, steps: usize) -> Result<Outcome> {
    // Threads of the run before may still spin.
    std::thread::sleep(Duration::from_millis(100));
    let steps = steps.to_string();
    let mut command = Command::new(python);
    command.args([SCRIPT, "train"]).arg(folder);
    let result = json(command.args([name, flow, "--steps", &steps]))?;
    let log_prob = result["log_prob"]
        .as_array()
        .context("`log_prob` is missing")?;
    let log_prob = log_prob
        .iter()
        .map(|value| value.as_f64().context("`log_prob` holds no numbers"));
    Ok(Outcome {
        seconds: number(&result, "seconds")?,
        log_prob: log_prob.collect::<Result<_>>()?,
    })
}

fn row(name: &str, flow: &str, ours: &Outcome, peers: &Outcome) -> Result<String> {
    ensure!(
        ours.log_prob.len() == peers.log_prob.len(),
        "`{name}` was measured on different numbers of samples"
    );
    let pairs = ours.log_prob.iter().zip(&peers.log_prob);
    let differences = pairs.map(|(ours, peers)| ours - peers).collect::<Vec<_>>();
    let cell = |values: &[f64]| {
        let (mean, error) = mean_and_error(values);
        format!("{mean:.3} ± {error:.3}")
    };
    Ok(format!(
        "| {name} | {flow} | {} | {} | {} | {:.2} | {:.2} | {:.2}× |",
        cell(&ours.log_prob),
        cell(&peers.log_prob),
        cell(&differences),
        ours.seconds,
        peers.seconds,
        ours.seconds / peers.seconds
    ))
}

/// The mean and its standard error.
fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>()
        / (count - 1.0);
    (mean, (variance / count).sqrt())
}
