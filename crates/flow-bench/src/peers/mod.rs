//! `flow-bench peers`: `flow bench` and PyTorch on the same models, in turn on one machine.
//!
//! Absolute times drift on shared machines. Rounds therefore go through all competitors in turn,
//! and the result is the median over rounds of the ratio within a round.

mod models;
mod vectors;

use std::path::PathBuf;

use anyhow::Result;

use crate::tools::{Flow, Python};

/// Device of both sides.
#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum BenchDevice {
    Cpu,
    Cuda,
}

impl BenchDevice {
    fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        }
    }
}

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The Python with `torch`, `nflows` and `numpy`.
    #[arg(long, default_value = "peers/bin/python")]
    python: PathBuf,
    /// Device of both sides; for `cuda`, `flow` is built as `cargo xtask cuda-build` does, and
    /// figures are those of the device.
    #[arg(long, value_enum, default_value = "cpu", conflicts_with = "vectors")]
    device: BenchDevice,
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
    let python = Python::at(&options.python)?;
    if options.vectors {
        let (steps, seeds) = (options.steps as usize, u64::from(options.seeds));
        return vectors::run(&python, steps, seeds);
    }
    let (flow, comparisons) = match options.device {
        BenchDevice::Cpu => (Flow::build()?, &models::ON_CPU[..]),
        BenchDevice::Cuda => {
            let code = "import torch; assert torch.cuda.is_available()";
            python.ensure(code, "has a torch that sees no GPU")?;
            (Flow::build_with_cuda()?, &models::ON_CUDA[..])
        }
    };
    for comparison in comparisons {
        comparison.run(options, &flow, &python)?;
    }
    Ok(())
}
