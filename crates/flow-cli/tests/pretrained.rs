//! The model that ships: every command works with it where nothing was ever trained or fetched.

#![allow(clippy::unwrap_used)]

use std::{path::Path, process::Command};

use serde_json::Value;

/// stdout and stderr of a command that must succeed.
fn flow(folder: &Path, arguments: &str) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_flow"))
        .args(arguments.split(' '))
        .current_dir(folder)
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments}: {stderr}");
    (String::from_utf8(output.stdout).unwrap(), stderr)
}

#[test]
fn digits_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (_, stderr) = flow(folder.path(), "sample");
    assert!(stderr.contains("the model of MNIST that ships"), "{stderr}");
    let size = image::image_dimensions(folder.path().join("samples.png")).unwrap();
    assert_eq!(size, (5 * 116 + 4, 5 * 116 + 4));
}

/// On bundled test images, which the model was not trained on.
#[test]
fn likelihoods_as_published() {
    let folder = tempfile::tempdir().unwrap();
    let (stdout, _) = flow(folder.path(), "eval --dataset mnist --json");
    let found: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(found["images"], 2000);
    let bits = found["bits_per_dim"].as_f64().unwrap();
    assert!((1.0..1.1).contains(&bits), "{bits}");
}
