//! `flow-bench vectors`: flows of vectors of several sizes beside nflows, zuko and normflows.
//!
//! Every flow is trained in a process of its own, here as there, one after the other, so the peak of
//! memory is that of one flow.

use std::{
    env,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor};
use flow_core::{
    calibration::{Calibration, ChiSquared},
    recipes::{self, Recipe},
    train::{FitSettings, Validation},
};
use serde_json::{Value, json};

use crate::tools::{self, Python, number, stdout, table};

/// The script of the same name makes the data and trains the peers.
const SCRIPT: &str = "vector_sizes.py";

const PEERS: [&str; 3] = ["nflows", "zuko", "normflows"];

/// Sizes of all flows, in the script too.
const LAYERS: usize = 5;
const WIDTH: usize = 64;
const BLOCKS: usize = 2;

/// Steps of a posterior, and draws for each truth, in the script too.
const STEPS: usize = 1000;
const DRAWS_EACH: usize = 200;

/// Rows drawn in one call.
const DRAWS: usize = 10_000;

type Make = fn(usize) -> Recipe;

const FLOWS: [(&str, Make); 4] = [
    ("nsf", recipes::neural_spline_flow),
    ("nsf-ar", recipes::autoregressive_spline_flow),
    ("maf", recipes::masked_autoregressive_flow),
    ("realnvp", recipes::realnvp),
];

const FEATURES: [usize; 3] = [2, 16, 64];

/// Rows of a batch, and steps.
const BATCHES: [(usize, usize); 2] = [(256, 300), (10_000, 20)];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The Python with `torch`, `nflows`, `zuko`, `normflows` and `numpy`
    #[arg(long, default_value = "peers/bin/python")]
    python: PathBuf,

    /// Numbers of a vector
    #[arg(long, value_name = "D", value_delimiter = ',', default_values_t = FEATURES)]
    features: Vec<usize>,

    /// Flows to measure
    #[arg(long, value_name = "FLOW", value_delimiter = ',', default_values = FLOWS.map(|(name, _)| name))]
    flows: Vec<String>,

    /// One flow, of so many numbers and batches of so many rows, trained here on the data in a
    /// folder: prints JSON
    #[arg(long, num_args = 5, hide = true, value_names = ["DIR", "FEATURES", "FLOW", "BATCH", "STEPS"])]
    one: Option<Vec<String>>,
}

/// Measures and prints a table in Markdown.
pub(crate) fn run(options: &Options) -> Result<()> {
    if let Some(one) = &options.one {
        let [folder, features, flow, batch, steps] = &one[..] else {
            unreachable!("clap asks for five");
        };
        let sizes = [features.parse()?, batch.parse()?, steps.parse()?];
        println!("{}", train(Path::new(folder), flow, sizes)?);
        return Ok(());
    }
    let python = Python::at(&options.python)?;
    python.ensure("import zuko, normflows", "has no zuko or no normflows")?;
    let folder = tempfile::tempdir().context("cannot make a folder for the data")?;
    println!(
        "{LAYERS} layers, networks of {BLOCKS} blocks of width {WIDTH}, {} steps at batches of {}, \
         {} at {}; draws of {DRAWS} rows\n",
        BATCHES[0].1, BATCHES[0].0, BATCHES[1].1, BATCHES[1].0
    );
    table::head(&[
        "flow",
        "numbers",
        "batch",
        "library",
        "seconds",
        "test ln p",
        "draws/s",
        "peak MB",
        "parameters",
    ]);
    for &features in &options.features {
        let mut data = python.script(SCRIPT);
        stdout(
            data.arg("data")
                .arg(folder.path())
                .arg(features.to_string()),
        )?;
        for flow in &options.flows {
            for (batch, steps) in BATCHES {
                let sizes = [features, batch, steps];
                row(flow, sizes, "flow", &ours(folder.path(), flow, sizes)?)?;
                for peer in PEERS {
                    row(
                        flow,
                        sizes,
                        peer,
                        &theirs(&python, folder.path(), flow, sizes, peer)?,
                    )?;
                }
            }
        }
    }
    posteriors(&python, folder.path())
}

/// Prints a table of posteriors of the same simulator.
fn posteriors(python: &Python, folder: &Path) -> Result<()> {
    println!(
        "\nPosteriors of 4 rates of Lotka–Volterra's equations: nsf, {STEPS} steps at batches of 256; \
         p-values of a χ² test of uniform ranks\n"
    );
    stdout(python.script(SCRIPT).arg("simulate").arg(folder))?;
    table::head(&[
        "library",
        "seconds",
        "test ln p",
        "p-values",
        "truths in 90 % regions",
    ]);
    posterior_row("flow", &posterior(folder)?)?;
    for peer in ["nflows", "zuko"] {
        let mut script = python.script(SCRIPT);
        let script = script.arg("posterior").arg(folder).arg(peer);
        let mut found = tools::json(script.args(["--steps", &STEPS.to_string()]))?;
        let ranks = serde_json::from_value::<Vec<Vec<usize>>>(found["ranks"].take())?;
        let tests = ranks
            .iter()
            .map(|ranks| ChiSquared::of_ranks(ranks, DRAWS_EACH + 1));
        found["p_values"] = tests.map(|test| test.p_value).collect();
        posterior_row(peer, &found)?;
    }
    Ok(())
}

fn posterior_row(library: &str, result: &Value) -> Result<()> {
    let p_values = result["p_values"].as_array().context("no p-values")?;
    let p_values = p_values.iter().filter_map(Value::as_f64);
    table::row(&[
        library.to_owned(),
        format!("{:.2}", number(result, "seconds")?),
        format!("{:.3}", number(result, "log_prob")?),
        p_values
            .map(|p| format!("{p:.2}"))
            .collect::<Vec<_>>()
            .join(", "),
        format!("{:.1} %", 100.0 * number(result, "coverage")?),
    ]);
    Ok(())
}

fn posterior(folder: &Path) -> Result<Value> {
    let load = |name: &str| Tensor::read_npy(folder.join(format!("{name}.npy")));
    let (rates, counts) = (load("train.rates")?, load("train.counts")?);
    let recipe = recipes::neural_spline_flow(4).context(20).layers(LAYERS);
    let recipe = recipe
        .width(WIDTH)
        .blocks(BLOCKS)
        .standardize((&rates, &counts))?;
    let model = recipe.build(0, DType::F32, &Device::Cpu)?;
    let start = Instant::now();
    let settings = settings(256, STEPS);
    model.fit((&rates, &counts), &settings, |_| ControlFlow::Continue(()))?;
    let seconds = start.elapsed().as_secs_f64();
    let (truths, seen) = (load("test.rates")?, load("test.counts")?);
    let calibration = Calibration::of(&model, (&truths, &seen), DRAWS_EACH, 1)?;
    let log_prob = model
        .given(&seen)?
        .log_prob(&truths)?
        .to_dtype(DType::F64)?;
    let tests = calibration.uniformity().into_iter();
    Ok(json!({
        "seconds": seconds,
        "log_prob": log_prob.mean_all()?.to_scalar::<f64>()?,
        "p_values": tests.map(|test| test.p_value).collect::<Vec<_>>(),
        "coverage": calibration.coverage(0.9),
    }))
}

fn row(flow: &str, [features, batch, _]: [usize; 3], library: &str, result: &Value) -> Result<()> {
    table::row(&[
        flow.to_owned(),
        features.to_string(),
        batch.to_string(),
        library.to_owned(),
        format!("{:.2}", number(result, "seconds")?),
        format!("{:.3}", number(result, "log_prob")?),
        format!("{:.0}", number(result, "draws_s")?),
        format!("{:.0}", number(result, "peak_mb")?),
        format!("{:.0}", number(result, "parameters")?),
    ]);
    Ok(())
}

fn theirs(
    python: &Python,
    folder: &Path,
    flow: &str,
    [features, batch, steps]: [usize; 3],
    library: &str,
) -> Result<Value> {
    let mut command = python.script(SCRIPT);
    command.arg("train").arg(folder).arg(features.to_string());
    let [batch, steps] = [batch, steps].map(|number| number.to_string());
    tools::json(command.args([flow, library, "--batch", &batch, "--steps", &steps]))
}

/// The same training in a process of its own.
fn ours(folder: &Path, flow: &str, [features, batch, steps]: [usize; 3]) -> Result<Value> {
    let program = env::current_exe().context("cannot find this program")?;
    let [features, batch, steps] = [features, batch, steps].map(|number| number.to_string());
    let mut command = Command::new(program);
    command.args(["vectors", "--one"]).arg(folder);
    tools::json(command.args([&features, flow, &batch, &steps]))
}

fn train(folder: &Path, flow: &str, [features, batch, steps]: [usize; 3]) -> Result<Value> {
    let load = |part: &str| Tensor::read_npy(folder.join(format!("{part}.{features}.npy")));
    let (x, test) = (load("train")?, load("test")?);
    let (_, make) = FLOWS
        .iter()
        .find(|(name, _)| *name == flow)
        .context("no such flow")?;
    let recipe = make(features).layers(LAYERS).width(WIDTH).blocks(BLOCKS);
    let model = recipe.build(0, DType::F32, &Device::Cpu)?;
    let start = Instant::now();
    let settings = settings(batch, steps);
    model.fit(&x, &settings, |_| ControlFlow::Continue(()))?;
    let seconds = start.elapsed().as_secs_f64();
    let log_prob = model.log_prob(&test)?.to_dtype(DType::F64)?.mean_all()?;
    let start = Instant::now();
    model.sample(DRAWS, 1)?;
    let drawing = start.elapsed().as_secs_f64();
    Ok(json!({
        "seconds": seconds,
        "log_prob": log_prob.to_scalar::<f64>()?,
        "draws_s": DRAWS as f64 / drawing,
        "parameters": model.params().element_count(),
        "peak_mb": peak_mb()?,
    }))
}

fn settings(batch_size: usize, max_steps: usize) -> FitSettings {
    FitSettings {
        batch_size,
        epochs: usize::MAX,
        max_steps,
        validation: Validation::Share(0.0),
        patience: usize::MAX,
        keep_best: false,
        ..FitSettings::default()
    }
}

/// The peak of this process's memory, in MB.
fn peak_mb() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status").context("no /proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib = kib.context("no VmHWM in /proc/self/status")?.trim();
    Ok(kib.parse::<f64>()? * 1.024e-3)
}
