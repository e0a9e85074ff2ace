//! Every check that a change has to pass, in the order of their cost.

mod alone;
mod crossings;
mod invariants;
mod one_build;

use std::{
    env,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, ensure};

use crate::{cuda, python};

/// Runs the checks one after the other, up to the first that fails.
///
/// Warnings are made errors without `RUSTFLAGS`, which would build everything a second time.
pub(crate) fn run() -> Result<()> {
    let mut steps = Steps::default();
    steps.run("invariants", invariants::check)?;
    steps.run("one build", one_build::check)?;
    steps.cargo("fmt --all --check")?;
    steps.cargo("clippy --workspace --all-targets -- -D warnings")?;
    steps.run("CUDA", cuda::check)?;
    if installed("nextest") {
        steps.cargo("nextest run --workspace --no-fail-fast")?;
    } else {
        steps.cargo("test --workspace --lib --bins --tests --examples --no-fail-fast")?;
    }
    steps.cargo("test --workspace --doc")?;
    several_processes(&mut steps)?;
    if python::is_installed() {
        steps.run("Python", python::check)?;
    } else {
        println!("==> Python: skipped, no python3 with venv is installed");
    }
    alone::check(&mut steps)?;
    steps.cargo("doc --workspace --no-deps")?;
    if installed("deny") {
        steps.cargo("deny check bans licenses sources")?;
    } else {
        println!("==> cargo deny: skipped, cargo-deny is not installed");
    }
    steps.print();
    Ok(())
}

/// Of the whole workspace, so that only what the feature changes is built again.
fn several_processes(steps: &mut Steps) -> Result<()> {
    if !runs(Command::new("mpicc").arg("--version"))
        || !runs(Command::new("mpirun").arg("--version"))
    {
        println!("==> several processes: skipped, no MPI is installed");
        return Ok(());
    }
    steps.cargo(
        "clippy --workspace --lib --bins --test flow --features flow-cli/mpi -- -D warnings",
    )?;
    steps.cargo("test --workspace --test flow --features flow-cli/mpi distributed::")
}

/// The checks that have passed, and the seconds that each took.
#[derive(Default)]
struct Steps(Vec<(String, f64)>);

impl Steps {
    fn run(&mut self, name: &str, check: impl FnOnce() -> Result<()>) -> Result<()> {
        println!("==> {name}");
        let start = Instant::now();
        check()?;
        let seconds = start.elapsed().as_secs_f64();
        println!("    {seconds:.1} s");
        self.0.push((name.to_owned(), seconds));
        Ok(())
    }

    fn cargo(&mut self, arguments: &str) -> Result<()> {
        self.run(&format!("cargo {arguments}"), || {
            let status = cargo(arguments)
                .env("RUSTDOCFLAGS", "-D warnings")
                .status()
                .with_context(|| format!("cannot run `cargo {arguments}`"))?;
            ensure!(status.success(), "`cargo {arguments}` failed");
            Ok(())
        })
    }

    fn print(&self) {
        println!("==> all checks passed; seconds of each:");
        for (name, seconds) in &self.0 {
            println!("{seconds:8.1}  {name}");
        }
        let total: f64 = self.0.iter().map(|(_, seconds)| seconds).sum();
        println!("{total:8.1}  in all");
    }
}

/// The output of `cargo tree`, a package a line.
fn tree(arguments: &str) -> Result<String> {
    let arguments = format!("tree --prefix none {arguments}");
    let output = cargo(&arguments).output();
    let output = output.context("cannot run `cargo tree`")?;
    ensure!(
        output.status.success(),
        "`cargo {arguments}` failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn installed(subcommand: &str) -> bool {
    runs(&mut cargo(&format!("{subcommand} --version")))
}

fn runs(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// `cargo` with arguments that hold no spaces, at the root.
pub(crate) fn cargo(arguments: &str) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(arguments.split(' '))
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    command
}
