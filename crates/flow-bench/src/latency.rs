//! `flow-bench latency`: calls of few rows beside nflows, zuko and normflows.

use std::{path::PathBuf, time::Instant};

use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use flow_core::random;

use crate::{
    tools::{self, Python, numbers, statistics::median, table},
    vectors::{self, Chosen, SCRIPT},
};

const PEERS: [&str; 3] = ["nflows", "zuko", "normflows"];

/// Rows of a call, in the script too.
const ROWS: [usize; 3] = [1, 16, 256];

/// Seconds of calls of which the median is taken, in the script too.
const SECONDS: f64 = 1.0;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The Python with `torch`, `nflows`, `zuko`, `normflows` and `numpy`
    #[arg(long, default_value = "peers/bin/python")]
    python: PathBuf,

    /// Numbers of a vector
    #[arg(long, value_name = "D", value_delimiter = ',', default_values_t = [2, 16])]
    features: Vec<usize>,

    #[command(flatten)]
    chosen: Chosen,
}

/// Measures and prints a table in Markdown.
pub(crate) fn run(options: &Options) -> Result<()> {
    let python = Python::at(&options.python)?;
    let missing = "lacks zuko or normflows; `peers/bin/pip install zuko normflows` gets them";
    python.ensure("import zuko, normflows", missing)?;
    println!(
        "Milliseconds of a call of fresh flows, by its rows, medians over {SECONDS} s of calls\n"
    );
    table::head(&[
        "flow",
        "numbers",
        "library",
        "ln p, 1",
        "ln p, 16",
        "ln p, 256",
        "draws, 1",
        "draws, 16",
        "draws, 256",
    ]);
    for &features in &options.features {
        for flow in &options.chosen.flows {
            let names = |library: &str| [flow.clone(), features.to_string(), library.to_owned()];
            table::attempt(&names("flow"), ours(flow, features).map(cells));
            for peer in PEERS {
                let times = theirs(&python, flow, features, peer);
                table::attempt(&names(peer), times.map(cells));
            }
        }
    }
    Ok(())
}

fn cells(seconds: Vec<f64>) -> Vec<String> {
    let cells = seconds
        .iter()
        .map(|seconds| format!("{:.3}", 1e3 * seconds));
    cells.collect()
}

/// Seconds of ln p of 1, 16 and 256 rows, then those of draws.
fn ours(flow: &str, features: usize) -> Result<Vec<f64>> {
    let model = vectors::model(flow, features, 0)?;
    let mut seconds = Vec::new();
    for rows in ROWS {
        let x = random::normal(0, (rows, features), DType::F32, &Device::Cpu)?;
        seconds.push(of_a_call(|| model.log_prob(&x))?);
    }
    for rows in ROWS {
        seconds.push(of_a_call(|| model.sample(rows, 0))?);
    }
    Ok(seconds)
}

/// The median of calls, after a first one.
fn of_a_call(call: impl Fn() -> candle_core::Result<Tensor>) -> Result<f64> {
    call()?;
    let (start, mut seconds) = (Instant::now(), Vec::new());
    while start.elapsed().as_secs_f64() < SECONDS {
        let start = Instant::now();
        call()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    Ok(median(seconds))
}

fn theirs(python: &Python, flow: &str, features: usize, library: &str) -> Result<Vec<f64>> {
    let mut script = python.script(SCRIPT);
    script.args(["latency", flow, library]);
    script.args(["--features", &features.to_string()]);
    let found = tools::json(&mut script)?;
    numbers(&found, "seconds")
}
