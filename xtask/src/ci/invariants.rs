//! What the architecture promises, as far as it can be read from manifests and sources.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};

use super::crossings;

/// What each crate must not depend on.
const FORBIDDEN: [(&str, &[&str]); 6] = [
    (
        "flow-core",
        &[
            "anyhow",
            "clap",
            "flow-data",
            "flow-glow",
            "hf-hub",
            // `serde` is behind a feature: `alone` sees that flow-core does without.
            "serde_json",
            "tokio",
            "tracing-subscriber",
        ],
    ),
    (
        "flow-data",
        &[
            "anyhow",
            "clap",
            "flow-core",
            "flow-glow",
            "hf-hub",
            "serde",
            "serde_json",
        ],
    ),
    (
        "flow-glow",
        &[
            "anyhow",
            "clap",
            "flate2",
            "flow-analysis",
            "flow-data",
            "hf-hub",
            "png",
            "zstd",
        ],
    ),
    (
        "flow-analysis",
        &["anyhow", "clap", "flow-data", "hf-hub", "image"],
    ),
    ("flow-convert", &["clap", "flow-data", "hf-hub", "tracing"]),
    ("flow-cli", &["hf-hub"]),
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

fn every_bijection_is_tested(flow_core: &Path) -> Result<()> {
    let tests = ["tests/core/bijections.rs", "tests/core/vectors.rs"]
        .map(|file| read(&flow_core.join(file)));
    let tests = tests.into_iter().collect::<Result<String>>()?;
    let sources = flow_core.join("src");
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
    // A reference is what it refers to.
    implementor
        .split(['<', ' '])
        .next()
        .filter(|name| !name.starts_with('&'))
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))
}
