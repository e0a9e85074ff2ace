//! `cargo xtask fuzz`: feeds damaged files to all readers of files.

use std::{path::Path, process::Command};

use anyhow::{Context, Result, ensure};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The fuzzers in `fuzz/fuzz_targets`.
const TARGETS: [&str; 13] = [
    "idx",
    "idx_gz",
    "cifar10",
    "picture",
    "png",
    "parquet",
    "table",
    "tar",
    "zip",
    "arrays",
    "checkpoint",
    "model",
    "state_dict",
];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Fuzzers to run [default: all]
    #[arg(value_parser = TARGETS)]
    targets: Vec<String>,
    /// Files that each of them tries.
    #[arg(long, default_value_t = 100_000)]
    runs: u64,
}

/// Writes seeds and runs fuzzers one after the other, up to the first that finds something.
pub(crate) fn run(options: &Options) -> Result<()> {
    let fuzz = Path::new(ROOT).join("fuzz");
    write_seeds(&fuzz.join("corpus"))?;
    let all = TARGETS.map(str::to_owned);
    let targets = if options.targets.is_empty() {
        &all[..]
    } else {
        &options.targets
    };
    for target in targets {
        let status = Command::new("cargo")
            .args([
                "+nightly",
                "fuzz",
                "run",
                "--sanitizer",
                "none",
                target,
                "--",
            ])
            .args(["-rss_limit_mb=2048", "-print_final_stats=1"])
            .arg(format!("-runs={}", options.runs))
            .current_dir(&fuzz)
            // Otherwise the compiler that runs this program would be used.
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("CARGO")
            .status()
            .context("cannot run cargo")?;
        ensure!(
            status.success(),
            "the fuzzer `{target}` failed; it needs `cargo install cargo-fuzz` and a nightly toolchain, \
             and what it finds is in `fuzz/artifacts/{target}`"
        );
    }
    Ok(())
}

fn write_seeds(corpus: &Path) -> Result<()> {
    let status = Command::new("cargo")
        .args([
            "run",
            "--quiet",
            "--package",
            "flow-testing",
            "--example",
            "seeds",
            "--",
        ])
        .arg(corpus)
        .current_dir(ROOT)
        .status()
        .context("cannot run cargo")?;
    ensure!(
        status.success(),
        "the files to begin with cannot be written"
    );
    Ok(())
}
