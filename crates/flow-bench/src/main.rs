//! Measurements of `flow`, alone and beside other programs.
//!
//! Every command prints tables in Markdown, as they stand in `docs/`. `tools` has what they share.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that talks to its user"
)]

mod explore;
mod growth;
mod latency;
mod memory;
mod peers;
mod ranks;
mod samples;
mod tables;
mod tools;
mod training;
mod vectors;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "flow-bench", about)]
enum Command {
    /// Time `flow` and PyTorch on the same models and print the ratios.
    Peers(peers::Options),
    /// Measure what training needs as models grow deeper, with all activations kept and with none.
    Memory,
    /// Time training steps as models and batches grow, with the memory that they take.
    Growth(growth::Options),
    /// Time the page of `flow explore` from a request to its picture, and weigh page and memory.
    Explore(explore::Options),
    /// Measure how fast two processes train beside one, by MPI.
    Ranks,
    /// Train nflows and `flow` for the same time, draw both courses and print every mark.
    Training(training::Options),
    /// Fit flows and scikit-learn's models to tables, and print likelihoods, areas under the curve,
    /// times and memory.
    Tables(tables::Options),
    /// Train flows of vectors of several sizes here, in nflows, zuko, normflows and flowjax, and
    /// print times, likelihoods, draws a second and memory.
    Vectors(vectors::Options),
    /// Time calls of few rows of flows of vectors here, in nflows, zuko and normflows.
    Latency(latency::Options),
    /// Compare samples with images of digits in the features of a classifier, which is trained if
    /// need be.
    Samples(samples::Options),
}

fn main() -> ExitCode {
    let result = match Command::parse() {
        Command::Peers(options) => peers::run(&options),
        Command::Memory => memory::run(),
        Command::Growth(options) => growth::run(&options),
        Command::Explore(options) => explore::run(&options),
        Command::Ranks => ranks::run(),
        Command::Training(options) => training::run(&options),
        Command::Tables(options) => tables::run(&options),
        Command::Vectors(options) => vectors::run(&options),
        Command::Latency(options) => latency::run(&options),
        Command::Samples(options) => samples::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("error: {err:#}");
            ExitCode::FAILURE
        }
    }
}
