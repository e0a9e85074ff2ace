//! `flow-bench vectors`: flows of vectors of several sizes beside nflows, zuko, normflows and
//! flowjax.
//!
//! Every flow is trained in a process of its own, here as there, one after the other, so the peak of
//! memory is that of one flow. A limit of seconds ends trainings that would take long; the table
//! says how many steps they reached.

use std::{
    env,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor};
use flow_core::{
    Model,
    calibration::{Calibration, ChiSquared},
    recipes,
    train::{FitSettings, Validation},
};
use serde_json::{Value, json};

use crate::tools::{
    self, Python, number, numbers, process_memory, statistics::mean, stdout, table,
};

/// The script of the same name makes the data and trains the peers.
pub(crate) const SCRIPT: &str = "vectors.py";

const PEERS: [&str; 4] = ["nflows", "zuko", "normflows", "flowjax"];

/// Sizes of all flows.
const LAYERS: usize = 5;
const WIDTH: usize = 64;
const BLOCKS: usize = 2;

/// Steps of a posterior, and draws for each truth, in the script too.
const STEPS: usize = 1000;
const DRAWS_EACH: usize = 200;

/// Rows drawn in one call.
const DRAWS: usize = 10_000;

const FLOWS: [&str; 4] = ["nsf", "nsf-ar", "maf", "realnvp"];

const FEATURES: [usize; 3] = [2, 16, 64];

/// Rows of a batch, and steps at most.
const BATCHES: [(usize, usize); 2] = [(256, 200), (10_000, 10)];

#[derive(clap::Args)]
pub(crate) struct Chosen {
    /// Flows to measure
    #[arg(
        long,
        value_name = "FLOW",
        value_delimiter = ',',
        value_parser = FLOWS,
        default_values = FLOWS
    )]
    pub(crate) flows: Vec<String>,
}

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The Python with `torch`, `nflows`, `zuko`, `normflows`, `flowjax` and `numpy`
    #[arg(long, default_value = "peers/bin/python")]
    python: PathBuf,

    /// Numbers of a vector
    #[arg(long, value_name = "D", value_delimiter = ',', default_values_t = FEATURES)]
    features: Vec<usize>,

    #[command(flatten)]
    chosen: Chosen,

    /// Seconds after which a training ends, and draws that would take longer become fewer
    #[arg(long, value_name = "SECONDS", default_value_t = 8.0)]
    limit: f64,

    /// One flow, of so many numbers and batches of so many rows, trained here on the data in a
    /// folder: prints JSON
    #[arg(long, num_args = 5, hide = true, value_names = ["DIR", "FEATURES", "FLOW", "BATCH", "STEPS"])]
    one: Option<Vec<String>>,
}

/// A flow that is trained everywhere.
struct Task<'a> {
    folder: &'a Path,
    flow: &'a str,
    features: usize,
    batch: usize,
    steps: usize,
    limit: f64,
}

/// Measures and prints tables in Markdown.
pub(crate) fn run(options: &Options) -> Result<()> {
    if let Some(one) = &options.one {
        let [folder, features, flow, batch, steps] = &one[..] else {
            unreachable!("clap asks for five");
        };
        let task = Task {
            folder: Path::new(folder),
            flow,
            features: features.parse()?,
            batch: batch.parse()?,
            steps: steps.parse()?,
            limit: options.limit,
        };
        println!("{}", task.train()?);
        return Ok(());
    }
    let python = Python::at(&options.python)?;
    let missing = "lacks zuko, normflows or flowjax; `peers/bin/pip install zuko normflows flowjax` gets them";
    python.ensure("import zuko, normflows, flowjax", missing)?;
    let folder = tempfile::tempdir().context("cannot make a folder for the data")?;
    println!(
        "{LAYERS} layers, networks of {BLOCKS} blocks of width {WIDTH}, {} steps at batches of {}, \
         {} at {}, at most {} s; draws of {DRAWS} rows\n",
        BATCHES[0].1, BATCHES[0].0, BATCHES[1].1, BATCHES[1].0, options.limit
    );
    table::head(&[
        "flow",
        "numbers",
        "batch",
        "library",
        "steps",
        "ms a step",
        "s to compile",
        "test ln p",
        "draws/s",
        "peak MB",
        "parameters",
    ]);
    for &features in &options.features {
        let mut data = python.script(SCRIPT);
        data.arg("chain").arg(folder.path());
        stdout(data.arg(features.to_string()))?;
        for flow in &options.chosen.flows {
            for (batch, steps) in BATCHES {
                let task = Task {
                    folder: folder.path(),
                    flow,
                    features,
                    batch,
                    steps,
                    limit: options.limit,
                };
                task.row("flow", task.ours());
                for peer in PEERS {
                    task.row(peer, task.theirs(&python, peer));
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
    stdout(python.script(SCRIPT).arg("simulations").arg(folder))?;
    table::head(&[
        "library",
        "seconds",
        "s to compile",
        "test ln p",
        "p-values",
        "truths in 90 % regions",
    ]);
    posterior_row("flow", posterior(folder));
    for peer in PEERS {
        posterior_row(peer, posterior_of_peer(python, folder, peer));
    }
    Ok(())
}

fn posterior_of_peer(python: &Python, folder: &Path, peer: &str) -> Result<Value> {
    let mut script = python.script(SCRIPT);
    let script = script.arg("posterior").arg(folder).arg(peer);
    let mut found = tools::json(script.args(["--steps", &STEPS.to_string()]))?;
    let ranks = serde_json::from_value::<Vec<Vec<usize>>>(found["ranks"].take())?;
    let tests = ranks
        .iter()
        .map(|ranks| ChiSquared::of_ranks(ranks, DRAWS_EACH + 1));
    found["p_values"] = tests.map(|test| test.p_value).collect();
    Ok(found)
}

fn posterior_row(library: &str, result: Result<Value>) {
    let cells = |result: Value| {
        let p_values = numbers(&result, "p_values")?;
        let p_values = p_values.iter().map(|p| format!("{p:.2}"));
        Ok(vec![
            format!("{:.2}", number(&result, "seconds")?),
            compiling(&result),
            format!("{:.3}", mean(&numbers(&result, "log_prob")?)),
            p_values.collect::<Vec<_>>().join(", "),
            format!("{:.1} %", 100.0 * number(&result, "coverage")?),
        ])
    };
    table::attempt(&[library.to_owned()], result.and_then(cells));
}

/// Seconds that a library took to compile a step, which those of training do not count; empty if it
/// compiles nothing.
fn compiling(result: &Value) -> String {
    let seconds = result["compile_seconds"].as_f64();
    let seconds = seconds.filter(|&seconds| seconds > 0.0);
    seconds.map_or(String::new(), |seconds| format!("{seconds:.1}"))
}

/// A fresh flow of the sizes that all have, which are those of the script too.
pub(crate) fn model(flow: &str, features: usize, context: usize) -> Result<Model> {
    let recipe = recipes::by_name(flow).context("no such flow")?;
    let recipe = recipe(features).context(context).layers(LAYERS);
    let recipe = recipe.width(WIDTH).blocks(BLOCKS);
    Ok(recipe.build(0, DType::F32, &Device::Cpu)?)
}

fn posterior(folder: &Path) -> Result<Value> {
    let load = |name: &str| Tensor::read_npy(folder.join(format!("rates.{name}.npy")));
    let (rates, counts) = (load("train")?, load("train.context")?);
    let model = model("nsf", 4, 20)?;
    let start = Instant::now();
    let settings = settings(256, STEPS);
    model.fit((&rates, &counts), &settings, |_| ControlFlow::Continue(()))?;
    let seconds = start.elapsed().as_secs_f64();
    let (truths, seen) = (load("test")?, load("test.context")?);
    let calibration = Calibration::of(&model, (&truths, &seen), DRAWS_EACH, 1)?;
    let log_prob = model.given(&seen)?.log_prob(&truths)?;
    let tests = calibration.uniformity().into_iter();
    Ok(json!({
        "seconds": seconds,
        "log_prob": log_prob.to_dtype(DType::F64)?.to_vec1::<f64>()?,
        "p_values": tests.map(|test| test.p_value).collect::<Vec<_>>(),
        "coverage": calibration.coverage(0.9),
    }))
}

impl Task<'_> {
    fn row(&self, library: &str, result: Result<Value>) {
        let names = [
            self.flow.to_owned(),
            self.features.to_string(),
            self.batch.to_string(),
            library.to_owned(),
        ];
        let cells = |result: Value| {
            let [seconds, steps] = ["seconds", "steps"].map(|name| number(&result, name));
            let steps = steps?;
            Ok(vec![
                format!("{steps:.0}"),
                format!("{:.2}", 1e3 * seconds? / steps),
                compiling(&result),
                format!("{:.3}", mean(&numbers(&result, "log_prob")?)),
                format!("{:.0}", number(&result, "draws_s")?),
                format!("{:.0}", number(&result, "peak_mb")?),
                format!("{:.0}", number(&result, "parameters")?),
            ])
        };
        table::attempt(&names, result.and_then(cells));
    }

    fn theirs(&self, python: &Python, library: &str) -> Result<Value> {
        let mut command = python.script(SCRIPT);
        command.arg("train").arg(self.folder).arg(self.data());
        command.args([self.flow, library, "--batch", &self.batch.to_string()]);
        command.args(["--steps", &self.steps.to_string()]);
        tools::json(command.args(["--limit", &self.limit.to_string()]))
    }

    /// The same training in a process of its own.
    fn ours(&self) -> Result<Value> {
        let program = env::current_exe().context("cannot find this program")?;
        let [features, batch, steps] =
            [self.features, self.batch, self.steps].map(|number| number.to_string());
        let mut command = Command::new(program);
        command.args(["vectors", "--limit", &self.limit.to_string(), "--one"]);
        command.arg(self.folder);
        tools::json(command.args([&features, self.flow, &batch, &steps]))
    }

    fn train(&self) -> Result<Value> {
        let load =
            |part: &str| Tensor::read_npy(self.folder.join(format!("{}.{part}.npy", self.data())));
        let (x, test) = (load("train")?, load("test")?);
        let model = model(self.flow, self.features, 0)?;
        let settings = settings(self.batch, self.steps);
        let limit = Duration::from_secs_f64(self.limit);
        let (start, mut steps) = (Instant::now(), 0);
        model.fit(&x, &settings, |epoch| {
            steps = epoch.steps;
            if start.elapsed() > limit {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        let seconds = start.elapsed().as_secs_f64();
        let log_prob = model.log_prob(&test)?.to_dtype(DType::F64)?;
        let start = Instant::now();
        model.sample(DRAWS, 1)?;
        let drawing = start.elapsed().as_secs_f64();
        Ok(json!({
            "seconds": seconds,
            "steps": steps,
            "log_prob": log_prob.to_vec1::<f64>()?,
            "draws_s": DRAWS as f64 / drawing,
            "parameters": model.params().element_count(),
            "peak_mb": peak_mb()?,
        }))
    }

    /// The name of the data in the folder.
    fn data(&self) -> String {
        format!("chain{}", self.features)
    }
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
    Ok(process_memory("self", "VmHWM")? / 1e6)
}
