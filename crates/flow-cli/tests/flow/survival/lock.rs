//! One training at a time in a folder.

use super::{EACH_STEP, TINY};
use crate::sandbox::Sandbox;

#[test]
fn the_second_training_in_a_folder_is_refused_until_the_first_is_gone() {
    let sandbox = Sandbox::with_digits();
    let endless = format!("train --out run {TINY} {EACH_STEP} --epochs 1000000");
    let mut first = sandbox.begin("run", 1, &mut sandbox.flow(&endless));
    for more in ["", "--resume", "--overwrite"] {
        let error = sandbox.refused(&format!("train --out run {more}"));
        assert_eq!(
            error,
            "error: another training is at work in `run`: wait for it, stop it, or choose another `--out`"
        );
    }
    // Another folder is free, and the first training was not disturbed.
    sandbox.ok(&format!("train --out other {TINY} --max-steps 2"));
    assert!(first.try_wait().unwrap().is_none());

    // Killed, it leaves no lock behind.
    first.kill().unwrap();
    first.wait().unwrap();
    let error = sandbox.refused("train --out run");
    assert!(error.contains("go on with `--resume`"), "{error}");
    sandbox.ok("train --out run --resume --max-steps 1");
}
