//! `convert-checkpoint` on checkpoints as trainings keep them, written by PyTorch.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path, process::Command};

/// The checkpoint, or nothing, and what stderr says.
fn convert(name: &str, more: &[&str]) -> (Option<Vec<u8>>, String) {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/reference");
    let work = tempfile::tempdir().unwrap();
    let output = work.path().join("out");
    let ran = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("convert-checkpoint")
        .arg(assets.join(format!("{name}.pt")))
        .arg(&output)
        .arg("--config")
        .arg(assets.join("normflows-additive.json"))
        .args(more)
        .output()
        .unwrap();
    let written = fs::read(&output).ok();
    assert_eq!(ran.status.code(), Some(i32::from(written.is_none())));
    (written, String::from_utf8(ran.stderr).unwrap())
}

#[test]
fn wrapped_weights_are_the_same_checkpoint() {
    let (plain, silence) = convert("normflows-additive", &[]);
    assert_eq!(silence, "");
    for (name, said) in [
        ("lightning", "the model below `state_dict.model.`; ignored"),
        (
            "averaged",
            "the model below `module._orig_mod.`; ignored beside it: `n_averaged`\n",
        ),
        (
            "deep",
            "the model below `run.best.0.weights.`; ignored beside it:",
        ),
        (
            "foreign",
            "the model below `model_state_dict.`; ignored beside it: `activation`, `args`",
        ),
    ] {
        let (found, stderr) = convert(&format!("wrapped-{name}"), &[]);
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.starts_with(said), "{stderr}");
        assert!(found == plain, "{name}");
    }
}

#[test]
fn of_a_model_and_its_average_one_is_asked_for() {
    let (none, asked) = convert("wrapped-ema", &[]);
    assert!(none.is_none());
    assert_eq!(asked.lines().count(), 1, "{asked}");
    assert!(
        asked.ends_with("choose one by `--prefix`, from `ema_model.`, `model.`\n")
            || asked.ends_with("choose one by `--prefix`, from `model.`, `ema_model.`\n"),
        "{asked}"
    );
    let (plain, _) = convert("normflows-additive", &[]);
    let (model, said) = convert("wrapped-ema", &["--prefix", "model."]);
    assert!(model == plain);
    assert_eq!(
        said,
        "the model below `model.`; ignored beside it: `ema_model.`, `initted`\n"
    );
    let (average, _) = convert("wrapped-ema", &["--prefix", "ema_model"]);
    assert!(average.is_some() && average != plain);
}
