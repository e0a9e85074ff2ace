//! A folder in which one process or several work.

use std::{
    path::PathBuf,
    process::{Command, Output, Stdio},
};
use tempfile::TempDir;

pub(crate) struct Sandbox(TempDir);

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// One process.
    pub(crate) fn flow(&self, args: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_flow"));
        command.args(args);
        command
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.0.path())
            .env_remove("RUST_LOG")
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null());
        command
    }
}

#[cfg(feature = "mpi")]
impl Sandbox {
    /// Several, of one thread each.
    pub(crate) fn together(&self, ranks: usize, args: &[&str]) -> Command {
        self.launch(ranks, &[env!("CARGO_BIN_EXE_flow")], args)
    }

    /// As [`together`](Self::together), of a program that runs the binary.
    pub(crate) fn launch(&self, ranks: usize, program: &[&str], args: &[&str]) -> Command {
        let mut command = self.command("mpirun");
        command
            .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
            .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
            .args(["--oversubscribe", "--bind-to", "none", "-n"])
            .arg(ranks.to_string())
            .args(program)
            .args(args)
            .args(["--threads", "1", "--distributed", "mpi"]);
        command
    }

    /// stdout of one process, for no ranks, or of several, which must succeed.
    pub(crate) fn run(&self, ranks: usize, args: &[&str]) -> String {
        let mut command = match ranks {
            0 => self.flow(args),
            ranks => self.together(ranks, args),
        };
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// The one error line of a process that must fail with status 1.
pub(crate) fn failed(output: &Output) -> String {
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let errors: Vec<_> = stderr
        .lines()
        .filter(|line| line.starts_with("error: "))
        .collect();
    assert_eq!(errors.len(), 1, "{stderr}");
    errors[0].to_owned()
}
