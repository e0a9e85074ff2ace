//! Trainings that give no finite loss before a step was taken: the learning rate is not what is
//! wrong.

use std::fs;

use super::TINY;
use crate::sandbox::{Sandbox, with_tensor};

#[test]
fn weights_that_overflow_are_named_and_not_the_learning_rate() {
    let sandbox = Sandbox::with_digits();
    sandbox.ok(&format!("train --out run {TINY} --max-steps 2"));
    let model = sandbox.read("run/model.safetensors");
    // e^300 and e^100 are beyond f32.
    let gain = "levels.0.steps.0.coupling.network.conv3.log_gain";
    for (name, number, part) in [
        (gain, 100.0, "levels.0"),
        ("prior.gaussian", -100.0, "prior"),
    ] {
        let changed = with_tensor(&model, name, |tensor| tensor.fill(number));
        sandbox.write("changed.safetensors", changed);
        let train = "train --out tuned --from changed.safetensors --max-steps 50";
        let error = sandbox.refused(train);
        assert_eq!(
            error,
            format!(
                "error: the loss is not finite after step 1, on two batches in a row and with weights that no \
                 step has moved: no image of the batch is finite behind `{part}`; another learning rate does \
                 not help, `flow verify tuned/model.safetensors` tells more"
            )
        );
        fs::remove_dir_all(sandbox.path("tuned")).unwrap();
    }
}
