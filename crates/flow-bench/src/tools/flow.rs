//! The program that is measured.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::json;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The binary `flow`, brought up to date.
pub(crate) struct Flow(PathBuf);

impl Flow {
    /// `flow` as everybody builds it.
    pub(crate) fn build() -> Result<Self> {
        Self::built_by(&["build", "--package", "flow-cli"])
    }

    /// `flow` that trains by several processes.
    pub(crate) fn build_with_mpi() -> Result<Self> {
        for (program, package) in [("mpicc", "libopenmpi-dev"), ("mpirun", "openmpi-bin")] {
            let version = Command::new(program).arg("--version").output();
            ensure!(
                version.is_ok_and(|output| output.status.success()),
                "`{program}` is missing: install an MPI (Debian: {package})"
            );
        }
        Self::built_by(&["build", "--package", "flow-cli", "--features", "mpi"])
    }

    /// `flow` for NVIDIA's cards.
    pub(crate) fn build_with_cuda() -> Result<Self> {
        let door = ["xtask", "cuda-build", "--"];
        let build = ["build", "--release", "--package", "flow-cli"];
        Self::built_by(&[&door[..], &build].concat())
    }

    /// The binary that cargo says it has built.
    fn built_by(arguments: &[&str]) -> Result<Self> {
        let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(arguments)
            .args(["--message-format", "json-render-diagnostics"])
            .current_dir(ROOT)
            .stderr(Stdio::inherit())
            .output()
            .context("cannot run cargo")?;
        ensure!(
            output.status.success(),
            "`cargo {}` failed",
            arguments.join(" ")
        );
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find_map(|message| Some(message["executable"].as_str()?.into()))
            .map(Self)
            .context("cargo names no binary that it has built")
    }

    /// A run of one of its commands.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.0);
        command.arg(name);
        command
    }

    /// The figures of `flow bench` with these options.
    pub(crate) fn bench(&self, options: &[&str]) -> Result<Value> {
        json(self.command("bench").arg("--json").args(options))
    }

    /// A training that writes into `folder`, on the digits that `flow` brings along, whatever was
    /// fetched.
    pub(crate) fn train(&self, folder: &Path, options: &[&str]) -> Command {
        let mut command = self.command("train");
        command
            .args(options)
            .arg("--data-dir")
            .arg(Path::new(ROOT).join("assets"))
            .arg("--out")
            .arg(folder);
        command
    }
}

/// The same command in two processes.
pub(crate) fn under_mpi(command: &Command) -> Command {
    let mut launcher = Command::new("mpirun");
    launcher
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        .args(["-n", "2", "--oversubscribe"])
        .arg(command.get_program())
        .args(command.get_args());
    launcher
}
