//! Aliases of commands of `flow`, for work in a checkout.

use std::{
    env,
    ffi::OsString,
    process::{self, Command},
};

use anyhow::{Context, Result};
use clap::Args;

const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");

/// Arguments that are passed on as they are; `flow` checks them and has their `--help`.
#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    #[arg(
        value_name = "ARGUMENTS",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    all: Vec<OsString>,
}

/// Runs a command of `flow`, by its words and the arguments after them, in the folder of the
/// caller.
///
/// If it fails, this program ends with its exit status.
pub(crate) fn flow(words: &[&str], arguments: &Arguments) -> Result<()> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let status = cargo
        .args(["run", "--quiet", "--package", "flow-cli"])
        .args(["--manifest-path", MANIFEST, "--"])
        .args(words)
        .args(&arguments.all)
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        // A signal that ended it leaves no status.
        process::exit(status.code().unwrap_or(1));
    }
    Ok(())
}
