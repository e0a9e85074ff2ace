//! `cargo xtask cuda-build`: builds with CUDA, whether or not this machine has a GPU or NVIDIA's
//! toolkit.
//!
//! candle asks for libraries that the system's loader finds before `main`: such a binary does not
//! start on a machine without a driver, not even for `--device cpu`. Here the code that loads them
//! at run time is chosen instead. The linker still wants to see them, and is shown empty ones, none
//! of which the binary then refers to.

mod check;
mod stubs;
mod toolkit;

pub(crate) use check::check;

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use toolkit::Toolkit;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Compute capability of the GPU, without the point: 80 for an A100, 89 for an RTX 40, 90 for
    /// an H100.
    ///
    /// 90 and above compile for exactly that architecture; less also runs on what is newer.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(53..=200))]
    cuda_arch: u32,
    /// Features of the packages that are built.
    #[arg(long, default_value = "cuda,cudnn,nccl")]
    features: String,
    /// Arguments of cargo, after `--`.
    #[arg(last = true, default_values = ["build", "--release", "--package", "flow-cli"])]
    cargo: Vec<String>,
}

/// Finds or fetches a toolkit and runs cargo with it.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = folder();
    let toolkit = Toolkit::find_or_fetch(&folder)?;
    eprintln!(
        "==> compiler in `{}`, compute capability {}",
        toolkit.home().display(),
        options.cuda_arch
    );
    let (subcommand, rest) = options
        .cargo
        .split_first()
        .context("cargo has nothing to do")?;
    let mut cargo = cargo(&toolkit, &stubs::make(&folder)?, options.cuda_arch)?;
    cargo
        .env("CARGO_TARGET_DIR", folder.join("build"))
        .args([subcommand, "--features", &options.features])
        .args(rest);
    let status = cargo.status().context("cannot run cargo")?;
    ensure!(
        status.success(),
        "`cargo {}` failed",
        options.cargo.join(" ")
    );
    eprintln!("==> the build is in `{}`", folder.join("build").display());
    Ok(())
}

/// Everything about CUDA that is fetched or built.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .with_file_name("target")
        .join("cuda")
}

/// Cargo with an environment in which everything that asks for CUDA finds it.
fn cargo(toolkit: &Toolkit, stubs: &Path, arch: u32) -> Result<Command> {
    let mut path = OsString::from(toolkit.bin());
    if let Some(rest) = env::var_os("PATH") {
        path = env::join_paths(std::iter::once(path.into()).chain(env::split_paths(&rest)))?;
    }
    // Flags apart from each other by U+001F, so that paths may contain spaces.
    let given = env::var("RUSTFLAGS").unwrap_or_default();
    let stubs = format!("native={}", stubs.display());
    let ours = ["--cfg", "feature=\"dynamic-loading\"", "-L", &stubs];
    let flags: Vec<_> = given.split_whitespace().chain(ours).collect();
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .env("CUDA_HOME", toolkit.home())
        .env("NVCC", toolkit.nvcc())
        .env("CUDA_COMPUTE_CAP", arch.to_string())
        .env("PATH", path)
        // With a target named, flags do not reach build scripts, which must go on without the one
        // above.
        .env("CARGO_BUILD_TARGET", host()?)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    Ok(cargo)
}

/// The triple of this machine.
fn host() -> Result<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("cannot run rustc")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` names no host")?.to_owned())
}
