//! Empty libraries in place of CUDA's, for the linker alone.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

/// Everything that candle and cudarc name.
const LIBRARIES: [&str; 7] = [
    "cuda", "cublas", "cublasLt", "curand", "nvrtc", "cudnn", "nccl",
];

/// A folder under `folder` with all of them.
pub(super) fn make(folder: &Path) -> Result<PathBuf> {
    let stubs = folder.join("stubs");
    fs::create_dir_all(&stubs).with_context(|| format!("cannot make `{}`", stubs.display()))?;
    let source = stubs.join("empty.c");
    write(&source, "")?;
    for library in LIBRARIES {
        let path = stubs.join(format!("lib{library}.so"));
        if !path.exists() {
            let mut compiler = Command::new("cc");
            compiler.arg("-shared").arg(&source).arg("-o").arg(&path);
            let status = compiler
                .status()
                .context("cannot run the C compiler `cc`")?;
            ensure!(status.success(), "`cc` cannot make `{}`", path.display());
        }
    }
    // The runtime of kernels that are linked in has no loader of its own, so it is linked in too.
    write(&stubs.join("libcudart.so"), "INPUT ( -lcudart_static )\n")?;
    Ok(stubs)
}

fn write(path: &Path, text: &str) -> Result<()> {
    // Left alone if it is right: cargo looks at times.
    if fs::read_to_string(path).is_ok_and(|present| present == text) {
        return Ok(());
    }
    fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))
}
