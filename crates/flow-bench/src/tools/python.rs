//! Python, and the scripts in `peers/`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers");

/// A Python with the packages that the scripts import.
pub(crate) struct Python(PathBuf);

impl Python {
    /// The one at `path`; an error if packages are missing.
    pub(crate) fn at(path: &Path) -> Result<Self> {
        let python = Self(path.to_owned());
        ensure!(
            python.succeeds("import torch, nflows, numpy"),
            "`{0}` is no Python with torch, nflows and numpy; make one with \
             `python3 -m venv peers && peers/bin/pip install torch nflows numpy`, or name one with `--python`",
            path.display()
        );
        Ok(python)
    }

    /// An error that names `problem` if this code fails.
    pub(crate) fn ensure(&self, code: &str, problem: &str) -> Result<()> {
        let python = self.0.display();
        ensure!(self.succeeds(code), "the Python `{python}` {problem}");
        Ok(())
    }

    /// A run of a script, by its name in `peers/`.
    pub(crate) fn script(&self, name: &str) -> Command {
        let mut command = Command::new(&self.0);
        command.arg(Path::new(SCRIPTS).join(name));
        command
    }

    fn succeeds(&self, code: &str) -> bool {
        let run = Command::new(&self.0).args(["-c", code]).output();
        run.is_ok_and(|output| output.status.success())
    }
}
