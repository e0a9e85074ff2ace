//! `flow-bench peers --vectors`: flows of vectors here and in nflows, of the same sizes, on the
//! same data for as many steps, one after the other.

use std::{
    ops::ControlFlow,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device, Tensor};
use flow_core::{
    recipes::{self, Recipe},
    train::{FitSettings, Validation},
};

use crate::tools::{
    Python, json, number, numbers,
    statistics::{mean, standard_error},
    stdout, table,
};

/// The script of the same name makes the data and trains in nflows.
const SCRIPT: &str = "vectors.py";

/// Data that the script makes, and by how much the steps on it are divided: on few samples more
/// would overfit.
const SETS: [(&str, usize); 5] = [
    ("two_moons", 1),
    ("checkerboard", 1),
    ("eight_gaussians", 1),
    ("spirals", 1),
    ("breast_cancer", 10),
];

/// The sizes of all flows, in the script too.
const LAYERS: usize = 5;
const WIDTH: usize = 64;
const BLOCKS: usize = 2;

type Make = fn(usize) -> Recipe;

const FLOWS: [(&str, Make); 3] = [
    ("nsf", recipes::neural_spline_flow),
    ("realnvp", recipes::realnvp),
    ("maf", recipes::masked_autoregressive_flow),
];

/// The time that a training took, and the likelihood that it reached.
struct Outcome {
    seconds: f64,
    /// Of every test sample, in nats.
    log_prob: Vec<f64>,
}

/// A flow that is trained on some data, here and in nflows.
struct Task<'a> {
    folder: &'a Path,
    set: &'static str,
    flow: &'static str,
    make: Make,
    steps: usize,
}

pub(super) fn run(python: &Python, steps: usize, seeds: u64) -> Result<()> {
    let missing = "has no scikit-learn; `peers/bin/pip install scikit-learn` gets it";
    python.ensure("import sklearn", missing)?;
    let folder = tempfile::tempdir().context("cannot make a folder for the data")?;
    stdout(python.script(SCRIPT).arg("sets").arg(folder.path()))?;
    println!(
        "{LAYERS} layers, networks of {BLOCKS} residual blocks of width {WIDTH}, batches of {}, \
         {steps} steps ({} on breast_cancer), {seeds} seeds; nats, mean over seeds ± standard error\n",
        settings(steps).batch_size,
        steps / 10
    );
    table::head(&[
        "data",
        "flow",
        "test ln p, here",
        "test ln p, nflows",
        "difference",
        "seconds, here",
        "seconds, nflows",
        "ratio",
    ]);
    for (set, divisor) in SETS {
        for (flow, make) in FLOWS {
            let task = Task {
                folder: folder.path(),
                set,
                flow,
                make,
                steps: steps / divisor,
            };
            let pairs = (0..seeds).map(|seed| Ok((task.ours(seed)?, task.peers(python, seed)?)));
            print(&task, &pairs.collect::<Result<Vec<_>>>()?)?;
        }
    }
    Ok(())
}

fn settings(steps: usize) -> FitSettings {
    FitSettings {
        epochs: usize::MAX,
        max_steps: steps,
        validation: Validation::Share(0.0),
        patience: usize::MAX,
        keep_best: false,
        ..FitSettings::default()
    }
}

impl Task<'_> {
    fn ours(&self, seed: u64) -> Result<Outcome> {
        let load =
            |part: &str| Tensor::read_npy(self.folder.join(format!("{}.{part}.npy", self.set)));
        let (x, test) = (load("train")?, load("test")?);
        let recipe = (self.make)(x.dim(1)?).layers(LAYERS);
        let recipe = recipe.width(WIDTH).blocks(BLOCKS);
        let model = recipe.build(seed, DType::F32, &Device::Cpu)?;
        let settings = FitSettings {
            seed,
            ..settings(self.steps)
        };
        let start = Instant::now();
        model.fit(&x, &settings, |_| ControlFlow::Continue(()))?;
        let seconds = start.elapsed().as_secs_f64();
        let log_prob = model.log_prob(&test)?.to_dtype(DType::F64)?.to_vec1()?;
        Ok(Outcome { seconds, log_prob })
    }

    fn peers(&self, python: &Python, seed: u64) -> Result<Outcome> {
        // Threads of the run before may still spin.
        std::thread::sleep(Duration::from_millis(100));
        let [steps, seed] = [self.steps.to_string(), seed.to_string()];
        let mut command = python.script(SCRIPT);
        command.arg("train").arg(self.folder);
        command.args([self.set, self.flow, "nflows"]);
        let result = json(command.args(["--steps", &steps, "--seed", &seed]))?;
        Ok(Outcome {
            seconds: number(&result, "seconds")?,
            log_prob: numbers(&result, "log_prob")?,
        })
    }
}

/// Prints a row; `pairs` are ours and nflows', by seed.
fn print(task: &Task, pairs: &[(Outcome, Outcome)]) -> Result<()> {
    ensure!(
        pairs
            .iter()
            .all(|(ours, peers)| ours.log_prob.len() == peers.log_prob.len()),
        "`{}` was measured on different numbers of samples",
        task.set
    );
    let cell = |value: &dyn Fn(f64, f64) -> f64| {
        let values = pairs.iter().map(|(ours, peers)| {
            let samples = ours.log_prob.iter().zip(&peers.log_prob);
            samples.map(|(ours, peers)| value(*ours, *peers)).collect()
        });
        let (mean, error) = mean_and_error(&values.collect::<Vec<Vec<f64>>>());
        format!("{mean:.3} ± {error:.3}")
    };
    let seconds = |of: fn(&(Outcome, Outcome)) -> &Outcome| {
        mean(
            &pairs
                .iter()
                .map(|pair| of(pair).seconds)
                .collect::<Vec<_>>(),
        )
    };
    let (ours, peers) = (seconds(|(ours, _)| ours), seconds(|(_, peers)| peers));
    table::row(&[
        task.set.to_owned(),
        task.flow.to_owned(),
        cell(&|ours, _| ours),
        cell(&|_, peers| peers),
        cell(&|ours, peers| ours - peers),
        format!("{ours:.2}"),
        format!("{peers:.2}"),
        format!("{:.2}×", ours / peers),
    ]);
    Ok(())
}

/// The mean over seeds and samples, and its standard error, to which samples and seeds contribute.
fn mean_and_error(values: &[Vec<f64>]) -> (f64, f64) {
    let seeds = values
        .iter()
        .map(|samples| mean(samples))
        .collect::<Vec<_>>();
    let samples = (0..values[0].len())
        .map(|sample| mean(&values.iter().map(|seed| seed[sample]).collect::<Vec<_>>()))
        .collect::<Vec<_>>();
    (
        mean(&seeds),
        standard_error(&seeds).hypot(standard_error(&samples)),
    )
}
