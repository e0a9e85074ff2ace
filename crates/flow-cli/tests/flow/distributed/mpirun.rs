//! Several processes in one folder.

use std::process::Command;

use crate::sandbox::{Report, Sandbox};

impl Sandbox {
    /// The binary in so many processes, of one thread each.
    pub(super) fn together(&self, ranks: usize, words: &str) -> Command {
        self.launch(ranks, &[env!("CARGO_BIN_EXE_flow")], words)
    }

    /// As [`together`](Self::together), of a program that runs the binary.
    pub(super) fn launch(&self, ranks: usize, program: &[&str], words: &str) -> Command {
        let mut command = self.command("mpirun");
        command
            .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
            .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
            .args(["--oversubscribe", "--bind-to", "none", "-n"])
            .arg(ranks.to_string())
            .args(program)
            .args(words.split_whitespace())
            .args(["--threads", "1", "--distributed", "mpi"]);
        command
    }

    /// stdout of one process, for no ranks, or of several, which must succeed.
    #[track_caller]
    pub(super) fn ranks(&self, ranks: usize, words: &str) -> String {
        match ranks {
            0 => self.ok(words),
            ranks => {
                Report::of(&mut self.together(ranks, words))
                    .succeeded()
                    .stdout
            }
        }
    }
}
