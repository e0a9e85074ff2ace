//! The memory of a process, as Linux tells it.

use std::{fmt::Display, fs};

use anyhow::{Context, Result};

/// Bytes of a line of the status of a process: `VmRSS`, what it holds, or `VmHWM`, the peak of it.
/// A process is its number, or `self`.
pub(crate) fn process_memory(process: impl Display, line: &str) -> Result<f64> {
    let path = format!("/proc/{process}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("cannot read `{path}`"))?;
    let mut lines = status.lines().filter_map(|line| line.split_once(':'));
    let value = lines.find_map(|(name, value)| (name == line).then_some(value));
    let kib = value.and_then(|value| value.trim().strip_suffix(" kB"));
    let kib = kib.with_context(|| format!("there is no {line} in `{path}`"))?;
    Ok(kib.trim().parse::<f64>()? * 1024.0)
}
