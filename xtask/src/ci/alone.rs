//! flow-core as others use it: alone, with few dependencies, packaged, and by its examples.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};

use super::{Steps, tree};

/// Crates that must not be below flow-core, however deep.
const AVOIDED: [&str; 6] = [
    "anyhow",
    "clap",
    "ureq",
    "tokio",
    "tracing-subscriber",
    "reqwest",
];

/// Its direct dependencies without features; another one needs a reason.
const DIRECT: [&str; 10] = [
    "candle-core",
    "candle-nn",
    "gemm",
    "half",
    "num-traits",
    "pulp",
    "rand",
    "rand_chacha",
    "rand_distr",
    "rayon",
];

pub(super) fn check(steps: &mut Steps) -> Result<()> {
    steps.run("dependencies of flow-core", dependencies)?;
    minimum_version()?;
    steps.cargo("check --package flow-core --no-default-features --lib")?;
    // Offline, and therefore without the lock file that packaging would make anew.
    steps.cargo(
        "package --package flow-core --no-verify --allow-dirty --exclude-lockfile --offline",
    )?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/flow-core/examples");
    let entries = fs::read_dir(&folder);
    let mut names = Vec::new();
    for entry in entries.with_context(|| format!("cannot read `{}`", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(
                path.file_stem()
                    .map(|name| name.to_string_lossy().into_owned()),
            );
        }
    }
    names.sort();
    for name in names {
        steps.cargo(&format!(
            "run --package flow-core --features file --example {name}"
        ))?;
    }
    steps.run("the program in README.md", || readme(&folder))
}

/// README shows the code of an example, to the letter.
fn readme(examples: &Path) -> Result<()> {
    let example = fs::read_to_string(examples.join("07_posterior.rs"))?;
    let readme = examples.join("../../../README.md");
    let code = example.split_once("print_stdout)]\n\n");
    let (_, code) = code.context("07_posterior.rs does not begin as expected")?;
    let shown = fs::read_to_string(readme)?.contains(&format!("```rust\n{code}```"));
    ensure!(shown, "README.md does not show the code of 07_posterior.rs");
    Ok(())
}

fn dependencies() -> Result<()> {
    for name in built_with("")? {
        ensure!(
            !AVOIDED.contains(&name.as_str()),
            "`flow-core` must not depend on `{name}`, not even through others"
        );
    }
    for name in built_with("--depth 1 ")? {
        ensure!(
            name == "flow-core" || DIRECT.contains(&name.as_str()),
            "`{name}` is a new dependency of `flow-core`; `xtask/src/ci/alone.rs` lists those it may have"
        );
    }
    Ok(())
}

/// The names of the dependencies of flow-core.
fn built_with(depth: &str) -> Result<Vec<String>> {
    let lines = tree(&format!(
        "--package flow-core --edges normal {depth}--format {{p}}"
    ))?;
    let names = lines.lines().filter_map(|line| line.split(' ').next());
    Ok(names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect())
}

/// The version that manifests state is the one that everything is built and tested with.
fn minimum_version() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |name: &str| {
        let path = root.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))
    };
    let value = |text: &str, key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        Some(line.trim_matches([' ', '=', '"']).to_owned())
    };
    let stated = value(&read("Cargo.toml")?, "rust-version")
        .context("`Cargo.toml` states no `rust-version`")?;
    let used = value(&read("rust-toolchain.toml")?, "channel")
        .context("`rust-toolchain.toml` names no `channel`")?;
    ensure!(
        used == stated
            || used
                .strip_prefix(&stated)
                .is_some_and(|rest| rest.starts_with('.')),
        "`rust-version` is {stated}, but {used} is tested"
    );
    Ok(())
}
