//! One set of features for every choice of packages, so that none compiles candle again.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use super::tree;

/// Packages as they are built one at a time: programs to be run, libraries to be tested.
const ALONE: [&str; 9] = [
    "--package flow-cli --edges normal,build",
    "--package flow-bench --edges normal,build",
    "--package flow-python --edges normal,build",
    "--package xtask --edges normal,build",
    "--package flow-core --edges normal,build,dev",
    "--package flow-glow --edges normal,build,dev",
    "--package flow-data --edges normal,build,dev",
    "--package flow-analysis --edges normal,build,dev",
    "--package flow-convert --edges normal,build,dev",
];

/// Features by crate and version. A crate that is also built for the host is there twice.
type Features = BTreeMap<String, Vec<String>>;

/// Compares the features of what a package alone is built with to those of the whole workspace.
pub(super) fn check() -> Result<()> {
    let workspace = features("--workspace --edges all")?;
    for package in ALONE {
        for (name, alone) in features(package)? {
            let together = workspace.get(&name).map_or(&[][..], Vec::as_slice);
            for features in alone {
                ensure!(
                    together.contains(&features),
                    "`cargo tree {package}` builds {name} with the features `{features}`, the \
                     workspace with `{}`: `crates/workspace-hack/Cargo.toml` must ask for the rest",
                    together.join("` or `")
                );
            }
        }
    }
    Ok(())
}

fn features(packages: &str) -> Result<Features> {
    let mut features = Features::new();
    for line in tree(&format!("{packages} --format {{p}}|{{f}}"))?.lines() {
        // Packages that were listed before have a mark, those of this workspace a path.
        if let Some((package, on)) = line.trim_end_matches(" (*)").split_once('|')
            && !package.contains("(/")
        {
            let of = features.entry(package.replace(" (proc-macro)", ""));
            let of = of.or_default();
            if !of.iter().any(|known| known == on) {
                of.push(on.to_owned());
            }
        }
    }
    Ok(features)
}
