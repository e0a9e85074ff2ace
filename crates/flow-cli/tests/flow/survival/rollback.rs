//! Trainings that diverge: they recover, or stop and leave a good checkpoint.

use serde_json::Value;

use super::TINY;
use crate::sandbox::{Sandbox, header, metrics};

#[test]
fn an_absurd_learning_rate_is_brought_down_until_training_works() {
    let sandbox = Sandbox::with_digits();
    // Equalized images leave little to learn in so few steps.
    let options = format!("{TINY} --preprocessing logit --lr 1000 --max-steps 150");
    let report = sandbox.run(&format!("train --out run {options}"));
    let stderr = report.succeeded().stderr;

    let lines = metrics(&sandbox.path("run"));
    let (rollbacks, records): (Vec<_>, Vec<_>) = lines
        .iter()
        .filter(|line| line.get("cause").is_none() || line.get("rollback").is_some())
        .partition(|line| line.get("rollback").is_some());
    let warnings = stderr.lines().filter(|line| line.starts_with("warning: "));
    let left_out = lines.len() - rollbacks.len() - records.len();
    assert_eq!(warnings.count(), rollbacks.len() + left_out, "{stderr}");
    assert!(left_out >= rollbacks.len(), "{stderr}");
    assert!(stderr.contains("(rollback 1 of 20)"), "{stderr}");
    let mut last = 1.0;
    for (i, rollback) in rollbacks.iter().enumerate() {
        assert_eq!(rollback["rollback"], i + 1);
        // Half of the one before, which may have recovered in between.
        let factor = rollback["lr_factor"].as_f64().unwrap();
        assert!(
            (0.5 * last..0.7 * last).contains(&factor),
            "{factor} after {last}"
        );
        last = factor;
        assert!(rollback["cause"].as_str().unwrap().starts_with("the loss "));
    }

    // It learned, and at a rate that works: the best of what was tried is behind it.
    let bits = |line: &Value| line["train_bits_per_dim"].as_f64().unwrap();
    let (first, last) = (bits(records[0]), bits(records[records.len() - 1]));
    assert!(last < first - 0.5, "from {first} to {last}");
    assert!(records.iter().all(|record| bits(record) < 30.0));
    let factor = rollbacks.last().unwrap()["lr_factor"].as_f64().unwrap();
    assert!((1e-6..1e-1).contains(&factor), "{factor}");
    sandbox.assert_usable("run/model.safetensors");
}

#[test]
fn a_training_that_diverges_for_good_stops_with_a_good_checkpoint() {
    let sandbox = Sandbox::with_digits();
    let options = format!("{TINY} --lr 1e30 --epochs 50 --max-rollbacks 4");
    let error = sandbox.refused(&format!("train --out run {options}"));
    assert!(
        error.starts_with(
            "error: training diverged again after 4 rollbacks: the loss is not finite"
        ),
        "{error}"
    );
    assert!(error.contains("`run/training.safetensors`") && error.contains("`--lr`"));
    let rollbacks = || {
        let lines = metrics(&sandbox.path("run")).into_iter();
        lines.filter(|line| line.get("rollback").is_some()).count()
    };
    assert_eq!(rollbacks(), 5);

    for name in ["model", "training"] {
        let path = format!("run/{name}.safetensors");
        sandbox.assert_usable(&path);
        let bytes = sandbox.read(&path);
        assert_eq!(header(&bytes)["training"]["progress"]["rollbacks"], 5);
        let tensors = candle_core::safetensors::load_buffer(&bytes, &candle_core::Device::Cpu);
        for (name, tensor) in tensors.unwrap() {
            let sum = tensor.abs().unwrap().sum_all().unwrap();
            assert!(sum.to_scalar::<f32>().unwrap() < 1e6, "{name}");
        }
    }

    // Going on tries again from there, with the rate lowered once more.
    let error = sandbox.refused("train --out run --resume");
    assert!(error.contains("after 20 rollbacks"), "{error}");
    assert_eq!(rollbacks(), 21);
}
