//! Checks that numbers go between host and device by `flow_core::transfer` only, which counts them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

/// Calls that copy, or decide by the kind of device.
const UNCOUNTED: [&str; 14] = [
    ".to_scalar",
    ".to_vec0",
    ".to_vec1",
    ".to_vec2",
    ".to_vec3",
    ".to_device(",
    "Tensor::new(",
    "Tensor::from_vec(",
    "Tensor::from_slice(",
    "Tensor::from_iter(",
    "Tensor::eye(",
    "Tensor::tril2(",
    "Tensor::arange(",
    ".is_cpu()",
];

/// Calls that open a device.
const OPENING: [&str; 3] = ["new_cuda", "new_metal", "cuda_if_available"];

/// Files in which the first are allowed: the counting itself, and code that works on the host.
const EXEMPT: [&str; 4] = [
    "flow-core/src/transfer.rs",
    "flow-core/src/device.rs",
    "flow-glow/src/verify",
    "flow-glow/src/train/ranks",
];

pub(super) fn check(crates: &Path) -> Result<()> {
    for name in [
        "flow-core",
        "flow-glow",
        "flow-analysis",
        "flow-convert",
        "flow-data",
        "flow-cli",
    ] {
        for path in sources(&crates.join(name).join("src"))? {
            let place = path.strip_prefix(crates).unwrap_or(&path);
            // The others work on the host by nature: on files, and on the numbers of results.
            let computes = matches!(name, "flow-core" | "flow-glow");
            let counted = computes && !EXEMPT.iter().any(|exempt| place.starts_with(exempt));
            let opens = place == Path::new("flow-core/src/device.rs");
            let text = fs::read_to_string(&path);
            let text = text.with_context(|| format!("cannot read `{}`", path.display()))?;
            for (number, line) in (1..).zip(text.lines().take_while(|line| *line != "#[cfg(test)]"))
            {
                let uses = |words: &[&str]| words.iter().any(|word| line.contains(word));
                let comment = line.trim_start().starts_with("//");
                // A call that names the host is meant so.
                let copies = counted && !line.contains("Device::Cpu") && uses(&UNCOUNTED);
                let selects = !opens && uses(&OPENING);
                ensure!(
                    comment || !(copies || selects),
                    "`{}:{number}` goes to a device past `flow_core::transfer` and `flow_core::device`: `{}`",
                    place.display(),
                    line.trim()
                );
            }
        }
    }
    Ok(())
}

/// All source files below a folder.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder);
    for entry in entries.with_context(|| format!("cannot read `{}`", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}
