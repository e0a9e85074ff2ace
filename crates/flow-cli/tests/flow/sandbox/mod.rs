//! A temporary folder in which the real binary runs.

mod data;
mod model;
mod report;
mod run;

use std::{
    ffi::OsStr,
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) use data::{digit, pixels};
pub(crate) use model::{header, small, tensors, with_header, with_tensor};
pub(crate) use report::Report;
pub(crate) use run::{metrics, signal, step, wait_for};

/// The folder, which goes with this value.
pub(crate) struct Sandbox(TempDir);

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Writes a file, and the folders that it lies in.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Any program in this folder.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.0.path())
            .env_remove("RUST_LOG")
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null());
        command
    }

    /// The binary with these words.
    pub(crate) fn flow(&self, words: &str) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_flow"));
        command.args(words.split_whitespace());
        command
    }

    /// The binary with these words, run to its end.
    pub(crate) fn run(&self, words: &str) -> Report {
        Report::of(&mut self.flow(words))
    }

    /// stdout of the binary, which must succeed.
    #[track_caller]
    pub(crate) fn ok(&self, words: &str) -> String {
        self.run(words).succeeded().stdout
    }

    /// [`ok`](Self::ok), as JSON.
    #[track_caller]
    pub(crate) fn json(&self, words: &str) -> Value {
        serde_json::from_str(&self.ok(words)).unwrap()
    }

    /// The error of the binary, which must end with status 1 and print nothing.
    #[track_caller]
    pub(crate) fn refused(&self, words: &str) -> String {
        self.run(words).refused(1)
    }
}
