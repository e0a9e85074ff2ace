//! Type-checks the code of a build with CUDA, without NVIDIA's compiler.

use anyhow::{Context, Result, ensure};

use super::{cargo, folder, toolkit::Toolkit};
use crate::fake_compiler;

/// Answers as `nvcc` does when asked its version, and makes empty outputs: nothing is linked or
/// run.
#[cfg(unix)]
const STAND_IN: &str = r#"#!/bin/sh
if [ "$1" = --version ]; then
    printf 'stand-in\n\n\nCuda compilation tools, release 13.0, V13.0.88\n'
    exit
fi
folder=.
while [ $# -gt 0 ]; do
    case $1 in
        --ptx | --lib | -c) kind=$1 ;;
        -o) output=$2; shift ;;
        --output-directory) folder=$2; shift ;;
        *.cu) source=$1 ;;
    esac
    shift
done
case $kind in
    --ptx) : >"$folder/$(basename "$source" .cu).ptx" ;;
    --lib) rm -f "$output"; ar rcs "$output" ;;
    *) : >"$output" ;;
esac
"#;

/// Lints the crates with every feature of CUDA.
#[cfg(unix)]
pub(crate) fn check() -> Result<()> {
    const ARGUMENTS: &str = "clippy --package flow-core --package flow-data --package flow-glow --package flow-cli \
        --features cuda,cudnn,nccl -- -D warnings";
    println!("==> cargo {ARGUMENTS} (with a stand-in for nvcc)");
    let home = folder().join("stand-in");
    let nvcc = home.join("bin/nvcc");
    fake_compiler::write(&nvcc, STAND_IN)?;
    let status = cargo(&Toolkit::at(&home), &home, 90)?
        .args(ARGUMENTS.split_whitespace())
        .status()
        .context("cannot run cargo")?;
    ensure!(
        status.success(),
        "the code of a build with CUDA does not pass `cargo clippy`"
    );
    Ok(())
}

/// The stand-in is a script of a Unix shell.
#[cfg(not(unix))]
pub(crate) fn check() -> anyhow::Result<()> {
    println!("==> cargo clippy with CUDA: skipped, it needs a Unix shell");
    Ok(())
}
