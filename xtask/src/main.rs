//! Chores of the repository: downloads, the bundled images, the checks.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that talks to its user"
)]

mod bench_memory;
mod bench_peers;
mod bench_ranks;
mod bundle_mnist;
mod ci;
mod compare_training;
mod convert_checkpoint;
mod cuda;
mod fetch;
mod folder;
mod fuzz;
mod metal_check;
// Diagrams look alike, whichever program draws them.
#[path = "../../crates/flow-cli/src/plot.rs"]
mod plot;
mod sample_quality;
#[cfg(unix)]
mod stand_in;

use std::process::ExitCode;

use clap::Parser;
use flow_data::DatasetName;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about)]
enum Command {
    /// Get a data set into `<data-dir>/<name>/`, from the Hugging Face hub or from files you have.
    ///
    /// Honours `HF_ENDPOINT`, `HF_TOKEN` and `HF_HOME`.
    Fetch {
        /// `mnist`, `fashion-mnist` or `cifar10`.
        dataset: DatasetName,
        #[command(flatten)]
        options: fetch::Options,
    },
    /// The same as `fetch mnist`.
    FetchMnist(fetch::Options),
    /// Make the subset of MNIST in `assets/mnist/` from the whole of it.
    BundleMnist(bundle_mnist::Options),
    /// Time `flow` and PyTorch on the same models and print the ratios.
    BenchPeers(bench_peers::Options),
    /// Measure what training needs as models grow deeper, with all activations kept and with none.
    BenchMemory,
    /// Measure how fast two processes train beside one, by MPI.
    BenchRanks,
    /// Train nflows and `flow` on MNIST for the same time, draw both courses and print every mark.
    CompareTraining(compare_training::Options),
    /// Compare samples with images of digits in the features of a classifier, which is trained if need be.
    SampleQuality(sample_quality::Options),
    /// Convert a model that another program has trained into a checkpoint, or a checkpoint for another program.
    ConvertCheckpoint(Box<convert_checkpoint::Options>),
    /// Throw damaged files at everything that reads files; needs `cargo-fuzz` and a nightly toolchain.
    Fuzz(fuzz::Options),
    /// Build with CUDA; the compiler is fetched if none is installed, and no GPU is needed.
    CudaBuild(cuda::Options),
    /// Lint the code of that build without any compiler of NVIDIA's, as `ci` does.
    CudaCheck,
    /// Lint the code of a build with Metal on a machine without macOS.
    MetalCheck,
    /// Run every check that a change has to pass.
    Ci,
}

fn main() -> ExitCode {
    let result = match Command::parse() {
        Command::Fetch { dataset, options } => fetch::run(dataset, &options),
        Command::FetchMnist(options) => fetch::run(DatasetName::Mnist, &options),
        Command::BundleMnist(options) => bundle_mnist::run(&options),
        Command::BenchPeers(options) => bench_peers::run(&options),
        Command::BenchMemory => bench_memory::run(),
        Command::BenchRanks => bench_ranks::run(),
        Command::CompareTraining(options) => compare_training::run(&options),
        Command::SampleQuality(options) => sample_quality::run(&options),
        Command::ConvertCheckpoint(options) => convert_checkpoint::run(&options),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::CudaBuild(options) => cuda::run(&options),
        Command::CudaCheck => cuda::check(),
        Command::MetalCheck => metal_check::run(),
        Command::Ci => ci::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("error: {err:#}");
            ExitCode::FAILURE
        }
    }
}
