//! Invariants of the architecture that can be read from manifests and sources.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};

use super::crossings;

/// Crates that each crate must not depend on.
const FORBIDDEN: [(&str, &[&str]); 8] = [
    (
        "flow-core",
        &[
            "anyhow",
            "clap",
            "flow-data",
            "flow-glow",
            // Files are behind a feature: `alone` sees that flow-core does without.
            "tokio",
            "tracing-subscriber",
            "ureq",
        ],
    ),
    ("flow-data", &["anyhow", "clap", "flow-core", "flow-glow"]),
    (
        "flow-glow",
        &[
            "anyhow",
            "clap",
            "flate2",
            "flow-analysis",
            "flow-data",
            "png",
            "ureq",
            "zstd",
        ],
    ),
    (
        "flow-analysis",
        &["anyhow", "clap", "flow-data", "image", "ureq"],
    ),
    ("flow-convert", &["clap", "flow-data", "tracing", "ureq"]),
    ("flow-plot", &["anyhow", "candle-core", "clap"]),
    (
        "flow-table",
        &[
            "anyhow",
            "candle-core",
            "clap",
            "flow-core",
            "flow-glow",
            "ureq",
        ],
    ),
    ("flow-cli", &["ureq"]),
];

pub(crate) fn check() -> Result<()> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    for (name, forbidden) in FORBIDDEN {
        let manifest = read(&crates.join(name).join("Cargo.toml"))?;
        for dependency in dependencies(&manifest) {
            ensure!(
                !forbidden.contains(&dependency),
                "`{name}` must not depend on `{dependency}`"
            );
        }
    }
    network_is_optional(&read(&crates.join("flow-data/Cargo.toml"))?)?;
    crossings::check(&crates)?;
    every_bijection_is_tested(&crates.join("flow-core"))
}

/// Names in the table `[dependencies]`.
fn dependencies(manifest: &str) -> impl Iterator<Item = &str> {
    manifest
        .lines()
        .skip_while(|line| *line != "[dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split(['.', '=', ' ']).next())
}

/// Only the feature `hub` of flow-data, which is not a default, brings a client of the network.
fn network_is_optional(manifest: &str) -> Result<()> {
    let optional = |line: &str| line.starts_with("ureq ") && line.contains("optional = true");
    let enables = |line: &str| line.contains("dep:ureq") && !line.starts_with("hub ");
    let always = |line: &str| line.starts_with("default ") || enables(line);
    ensure!(
        manifest.lines().any(optional) && !manifest.lines().any(always),
        "`flow-data` may have `ureq` only as an optional dependency behind its feature `hub`"
    );
    Ok(())
}

fn every_bijection_is_tested(flow_core: &Path) -> Result<()> {
    // Of one size of images alone, a multi-scale flow has tests of its own.
    let tests = ["bijections", "vectors", "multi_scale"]
        .map(|file| read(&flow_core.join(format!("tests/core/{file}.rs"))));
    let tests = tests.into_iter().collect::<Result<String>>()?;
    let sources = flow_core.join("src/bijections");
    for entry in
        fs::read_dir(&sources).with_context(|| format!("cannot read `{}`", sources.display()))?
    {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        for name in read(&path)?.lines().filter_map(implementor) {
            ensure!(
                tests.contains(name),
                "bijection `{name}` is neither in `tests/core/bijections.rs` nor in `tests/core/vectors.rs`"
            );
        }
    }
    Ok(())
}

/// `Name` of a line `impl<…> Bijection for Name<…> {`.
fn implementor(line: &str) -> Option<&str> {
    let (_, implementor) = line.strip_prefix("impl")?.split_once("Bijection for ")?;
    // A reference stands for its target.
    implementor
        .split(['<', ' '])
        .next()
        .filter(|name| !name.starts_with('&'))
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))
}
