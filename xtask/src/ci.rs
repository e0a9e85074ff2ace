//! Every check that a change has to pass, in the order of their cost.

mod alone;
mod crossings;
mod invariants;

use std::{
    env,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use crate::cuda;

/// Runs the checks one after the other, up to the first that fails.
///
/// Warnings are made errors without `RUSTFLAGS`, which would build everything a second time.
pub(crate) fn run() -> Result<()> {
    println!("==> invariants");
    invariants::check()?;
    step("fmt --all --check")?;
    step("clippy --workspace --all-targets -- -D warnings")?;
    cuda::check()?;
    if installed("nextest") {
        step("nextest run --workspace --no-fail-fast")?;
    } else {
        step("test --workspace --lib --bins --tests --examples --no-fail-fast")?;
    }
    step("test --workspace --doc")?;
    several_processes()?;
    alone::check()?;
    step("doc --workspace --no-deps")?;
    if installed("deny") {
        step("deny check bans licenses sources")?;
    } else {
        println!("==> cargo deny: skipped, cargo-deny is not installed");
    }
    println!("==> all checks passed");
    Ok(())
}

/// Of the whole workspace, so that only what the feature changes is built again.
fn several_processes() -> Result<()> {
    if !runs(Command::new("mpicc").arg("--version"))
        || !runs(Command::new("mpirun").arg("--version"))
    {
        println!("==> several processes: skipped, no MPI is installed");
        return Ok(());
    }
    step("clippy --workspace --lib --bins --test flow --features flow-cli/mpi -- -D warnings")?;
    step("test --workspace --test flow --features flow-cli/mpi distributed::")
}

fn step(arguments: &str) -> Result<()> {
    println!("==> cargo {arguments}");
    let status = cargo(arguments)
        .env("RUSTDOCFLAGS", "-D warnings")
        .status()
        .with_context(|| format!("cannot run `cargo {arguments}`"))?;
    ensure!(status.success(), "`cargo {arguments}` failed");
    Ok(())
}

fn installed(subcommand: &str) -> bool {
    runs(&mut cargo(&format!("{subcommand} --version")))
}

fn runs(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn cargo(arguments: &str) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(arguments.split(' '))
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    command
}
