//! Trainings that give no finite loss before a step was taken: the learning rate is not what is wrong.

use super::sandbox::{Sandbox, TINY, failed, succeeded, with_tensor};
use std::fs;

#[test]
fn weights_that_overflow_are_named_and_not_the_learning_rate() {
    let sandbox = Sandbox::new();
    let options = [TINY, &["--max-steps", "2"]].concat();
    succeeded(&sandbox.train("run", &options).output().unwrap());
    let model = fs::read(sandbox.path("run/model.safetensors")).unwrap();
    // e^300 and e^100 are beyond f32.
    let gain = "levels.0.steps.0.coupling.network.conv3.log_gain";
    for (name, number, part) in [
        (gain, 100.0, "levels.0"),
        ("prior.gaussian", -100.0, "prior"),
    ] {
        let changed = with_tensor(&model, name, number);
        fs::write(sandbox.path("changed.safetensors"), changed).unwrap();
        let more = ["--from", "changed.safetensors", "--max-steps", "50"];
        let error = failed(&sandbox.train("tuned", &more).output().unwrap());
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
