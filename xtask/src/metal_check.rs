//! `cargo xtask metal-check`: type-checks the code of a build with Metal, on a machine without
//! macOS.

use anyhow::Result;
#[cfg(unix)]
use {
    crate::fake_compiler,
    anyhow::{Context, ensure},
    std::{path::Path, process::Command},
};

#[cfg(unix)]
const TARGET: &str = "aarch64-apple-darwin";

/// Makes the empty output of a C compiler, or of an archiver: nothing is linked or run.
#[cfg(unix)]
const STAND_IN: &str = r#"#!/bin/sh
output=$2
while [ $# -gt 0 ]; do
    [ "$1" = -o ] && output=$2
    shift
done
: >"$output"
"#;

/// Lints the crates with the feature `metal`.
#[cfg(unix)]
pub(crate) fn run() -> Result<()> {
    const ARGUMENTS: &str =
        "clippy --package flow-core --package flow-glow --features metal -- -D warnings";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("target");
    let folder = folder.join("metal");
    let compiler = folder.join("stand-in");
    fake_compiler::write(&compiler, STAND_IN)?;
    let added = Command::new("rustup")
        .args(["target", "add", TARGET])
        .status();
    ensure!(
        added.context("cannot run `rustup`")?.success(),
        "`rustup target add {TARGET}` failed"
    );
    println!("==> cargo {ARGUMENTS} (for {TARGET}, with a stand-in for the C compiler)");
    let status = Command::new(env!("CARGO"))
        .env("CARGO_BUILD_TARGET", TARGET)
        .env("CC_aarch64_apple_darwin", &compiler)
        .env("AR_aarch64_apple_darwin", &compiler)
        .args(ARGUMENTS.split_whitespace())
        .status()
        .context("cannot run cargo")?;
    ensure!(
        status.success(),
        "the code of a build with Metal does not pass `cargo clippy`"
    );
    Ok(())
}

/// The stand-in is a script of a Unix shell.
#[cfg(not(unix))]
pub(crate) fn run() -> Result<()> {
    anyhow::bail!("it needs a Unix shell")
}
