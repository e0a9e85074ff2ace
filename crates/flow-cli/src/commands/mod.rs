//! The commands, one file each.

mod bench;
mod cluster;
mod convert;
mod data;
mod decode;
mod density;
mod edit;
mod encode;
mod eval;
mod explore;
mod fetch;
mod inspect;
mod interpolate;
mod measure;
mod outliers;
mod sample;
mod tables;
mod train;
mod verify;

use anyhow::{Context, Result};
use flow_glow::ranks::Launch;
use rayon::ThreadPoolBuilder;

pub(crate) use tables::is_model as is_model_of_vectors;

use crate::{
    cli::{Cli, Command},
    output::{console::Console, words::count},
};

/// Runs the command that was typed.
pub(crate) fn run(cli: Cli) -> Result<()> {
    let follows = Launch::from_env().is_some_and(|launch| launch.rank > 0);
    let console = Console::new(cli.verbose, follows && cli.command.is_distributed())?;
    if let Some(threads) = cli.threads {
        ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global()
            .with_context(|| format!("cannot start {}", count(threads, "thread")))?;
    }
    match cli.command {
        Command::Fetch(args) => fetch::run(&args, &console),
        Command::Data(args) => data::run(&args, &console),
        Command::Train(args) => train::run(&args, console),
        Command::Fit(args) => tables::fit(&args, &console),
        Command::Score(args) => tables::score(&args),
        Command::Eval(args) => eval::run(&args, &console),
        Command::Sample(args) => sample::run(&args),
        Command::Interpolate(args) => interpolate::run(&args, &console),
        Command::Edit(args) => edit::run(&args, &console),
        Command::Cluster(args) => cluster::run(&args, &console),
        Command::Explore(args) => explore::run(*args, &console),
        Command::Encode(args) => encode::run(&args, &console),
        Command::Decode(args) => decode::run(&args),
        Command::Density(args) => density::run(&args, &console),
        Command::Outliers(args) => outliers::run(&args, &console),
        Command::Measure(args) => measure::run(&args, &console),
        Command::Convert(args) => convert::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Verify(args) => verify::run(&args, &console),
        Command::Bench(args) => bench::run(&args),
    }
}
