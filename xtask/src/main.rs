//! Chores of the repository: downloads, the bundled images, the checks.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that talks to its user"
)]

mod alias;
mod bundle_mnist;
mod ci;
mod cuda;
#[cfg(unix)]
mod fake_compiler;
mod fuzz;
mod metal_check;
mod python;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about)]
enum Command {
    /// Run `flow fetch`: a data set from the Hugging Face hub or from files you have.
    Fetch(alias::Arguments),
    /// Run `flow fetch mnist`.
    FetchMnist(alias::Arguments),
    /// Make the subset of MNIST in `assets/mnist/` from the whole of it.
    BundleMnist(bundle_mnist::Options),
    /// Run `flow convert`: models of other programs into checkpoints, and checkpoints for other
    /// programs.
    ConvertCheckpoint(alias::Arguments),
    /// Throw damaged files at everything that reads files; needs `cargo-fuzz` and a nightly
    /// toolchain.
    Fuzz(fuzz::Options),
    /// Build with CUDA; the compiler is fetched if none is installed, and no GPU is needed.
    CudaBuild(cuda::Options),
    /// Lint the code of that build without any compiler of NVIDIA's, as `ci` does.
    CudaCheck,
    /// Lint the code of a build with Metal on a machine without macOS.
    MetalCheck,
    /// Build the wheel of the Python package.
    Wheel(python::Options),
    /// Run every check that a change has to pass.
    Ci,
}

fn main() -> ExitCode {
    let result = match Command::parse() {
        Command::Fetch(arguments) => alias::flow(&["fetch"], &arguments),
        Command::FetchMnist(arguments) => alias::flow(&["fetch", "mnist"], &arguments),
        Command::BundleMnist(options) => bundle_mnist::run(&options),
        Command::ConvertCheckpoint(arguments) => alias::flow(&["convert"], &arguments),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::CudaBuild(options) => cuda::run(&options),
        Command::CudaCheck => cuda::check(),
        Command::MetalCheck => metal_check::run(),
        Command::Wheel(options) => python::wheel(&options),
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
