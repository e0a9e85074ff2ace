//! Type-checks what only a build with CUDA contains, without NVIDIA's compiler.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};

use super::{cargo, folder, toolkit::Toolkit};

/// Answers as `nvcc` does when asked its version, and makes empty outputs: nothing is linked or run.
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
    use std::os::unix::fs::PermissionsExt;

    // The profile whose procedural macros and build scripts are not optimised, which here would be most of the time.
    const ARGUMENTS: &str = "clippy --release --package flow-core --package flow-data --package flow-glow --package flow-cli \
        --features cuda,cudnn,nccl -- -D warnings";
    println!("==> cargo {ARGUMENTS} (with a stand-in for nvcc)");
    let home = folder().join("stand-in");
    let nvcc = home.join("bin/nvcc");
    if fs::read_to_string(&nvcc).is_ok_and(|present| present == STAND_IN) {
        // Left alone: build scripts look at its time.
    } else {
        write(&nvcc, STAND_IN)?;
        fs::set_permissions(&nvcc, fs::Permissions::from_mode(0o755))?;
    }
    let status = cargo(&Toolkit::at(&home), &home, 90)?
        .env("CARGO_TARGET_DIR", folder().join("check"))
        .args(ARGUMENTS.split_whitespace())
        .status()
        .context("cannot run cargo")?;
    ensure!(
        status.success(),
        "what only a build with CUDA contains does not pass `cargo clippy`"
    );
    Ok(())
}

#[cfg(unix)]
fn write(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().context("a file lies in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))
}

/// The stand-in is a script of a Unix shell.
#[cfg(not(unix))]
pub(crate) fn check() -> anyhow::Result<()> {
    println!("==> cargo clippy with CUDA: skipped, it needs a Unix shell");
    Ok(())
}
