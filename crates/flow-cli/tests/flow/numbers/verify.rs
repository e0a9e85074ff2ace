//! `flow verify` passes a sound model and finds what is wrong with a spoiled one.

use serde_json::Value;

use super::MODEL;
use crate::sandbox::Sandbox;

fn verdicts(report: &Value) -> &Vec<Value> {
    report["verdicts"].as_array().unwrap()
}

/// The checks that fail, of a model that must not pass.
fn failures(sandbox: &Sandbox, model: &str) -> Vec<String> {
    let (report, error) = sandbox.json_and_error(&format!("verify {model} --limit 1 --json"));
    assert_eq!(report["passed"], false);
    let failed = verdicts(&report)
        .iter()
        .filter(|verdict| verdict["passed"] == false);
    let failed: Vec<String> = failed
        .map(|verdict| verdict["check"].as_str().unwrap().to_owned())
        .collect();
    let count = format!("{} of 10 checks failed on `{model}`", failed.len());
    assert!(error.unwrap().contains(&count), "{failed:?}");
    failed
}

#[test]
fn a_sound_model_passes() {
    let sandbox = Sandbox::with_learned_classes();
    let report = sandbox.json(&format!("verify {MODEL} --limit 5 --json"));
    assert_eq!(report["passed"], true);
    assert_eq!(
        (&report["images"], &report["dataset"]),
        (&5.into(), &"mnist".into())
    );
    for verdict in verdicts(&report) {
        let (value, bound) = (&verdict["value"], &verdict["bound"]);
        assert!(
            value.as_f64().unwrap() <= bound.as_f64().unwrap(),
            "{verdict}"
        );
    }
    // Nothing is left out of the Jacobian of a small model.
    let log_det = verdicts(&report)[1]["detail"].as_str().unwrap();
    assert!(
        log_det.contains("784 of 784 dimensions, 4 images"),
        "{log_det}"
    );
    let layers = report["layers"].as_array().unwrap();
    let names: Vec<_> = layers.iter().map(|layer| layer["name"].as_str()).collect();
    let expected = [
        "levels.0.steps.0",
        "levels.0.steps.1",
        "levels.0",
        "prior",
        "model",
    ];
    assert_eq!(names, expected.map(Some));
    assert!(layers[0]["condition"].as_f64().unwrap() >= 1.0);

    let text = sandbox.ok(&format!("verify {MODEL} --limit 1"));
    let lines: Vec<_> = text.lines().collect();
    assert!(
        lines[..10].iter().all(|line| line.starts_with("pass  ")),
        "{text}"
    );
    assert!(lines[12].starts_with("levels.0.steps.0 "), "{text}");
    assert_eq!(lines.len(), 17, "{text}");
}

#[test]
fn what_is_wrong_fails_its_line() {
    let sandbox = Sandbox::with_learned();
    let step = |tensor: &str| format!("levels.0.steps.1.{tensor}");

    // All parameters are finite, and nothing that they give.
    let gain = step("coupling.network.conv3.log_gain");
    sandbox.spoil("exploding", &gain, |values| values.fill(100.0));
    let failed = failures(&sandbox, "exploding");
    assert_eq!(failed[..2], ["log-determinant", "integral"]);
    assert!(failed.contains(&"f32 against f64".into()), "{failed:?}");

    // Near enough to a rotation to be loaded, but it expands, and the log-determinant knows nothing
    // of it.
    sandbox.spoil("expanding", &step("conv1x1.rotation"), |values| {
        for value in values {
            *value *= 1.0 + 4e-4;
        }
    });
    assert_eq!(
        failures(&sandbox, "expanding"),
        ["log-determinant", "integral"]
    );

    sandbox.spoil("flat", &step("conv1x1.log_scale"), |values| {
        values[0] -= 11.0;
    });
    let failed = failures(&sandbox, "flat");
    assert!(
        failed.contains(&"condition of 1×1 convolutions".into()),
        "{failed:?}"
    );

    sandbox.spoil("steep", &step("actnorm.log_scale"), |values| {
        values[0] += 25.0;
    });
    let failed = failures(&sandbox, "steep");
    for check in ["layers invert in f32", "model inverts in f32", "|ln scale|"] {
        assert!(failed.contains(&check.into()), "{failed:?}");
    }
}
