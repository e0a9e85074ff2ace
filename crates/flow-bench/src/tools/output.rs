//! Output of other programs.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The standard output of a command; an error with its standard error if it fails.
pub(crate) fn stdout(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The JSON that a command prints.
pub(crate) fn json(command: &mut Command) -> Result<Value> {
    serde_json::from_str(&stdout(command)?)
        .with_context(|| format!("{command:?} printed something other than JSON"))
}

/// A figure of printed JSON, by name.
pub(crate) fn number(result: &Value, name: &str) -> Result<f64> {
    result[name]
        .as_f64()
        .with_context(|| format!("the figure `{name}` is missing"))
}

/// Figures of printed JSON, by their name.
pub(crate) fn numbers(result: &Value, name: &str) -> Result<Vec<f64>> {
    let list = result[name].as_array();
    let list = list.with_context(|| format!("the figures `{name}` are missing"))?;
    let figure = |value: &Value| {
        value
            .as_f64()
            .with_context(|| format!("`{name}` holds no numbers"))
    };
    list.iter().map(figure).collect()
}
