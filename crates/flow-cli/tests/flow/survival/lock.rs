//! One training at a time in a folder.

use super::sandbox::{EACH_STEP, Sandbox, TINY, failed, succeeded};

#[test]
fn the_second_training_in_a_folder_is_refused_until_the_first_is_gone() {
    let sandbox = Sandbox::new();
    let endless = [TINY, EACH_STEP, &["--epochs", "1000000"]].concat();
    let mut first = sandbox.begin("run", &endless);
    for more in [&[][..], &["--resume"], &["--overwrite"]] {
        let error = failed(&sandbox.train("run", more).output().unwrap());
        assert_eq!(
            error,
            "error: another training is at work in `run`: wait for it, stop it, or choose another `--out`"
        );
    }
    // Another folder is free, and the first training was not disturbed.
    let short = [TINY, &["--max-steps", "2"]].concat();
    succeeded(&sandbox.train("other", &short).output().unwrap());
    assert!(first.try_wait().unwrap().is_none());

    // Killed, it leaves no lock behind.
    first.kill().unwrap();
    first.wait().unwrap();
    let error = failed(&sandbox.train("run", &[]).output().unwrap());
    assert!(error.contains("go on with `--resume`"), "{error}");
    let more = ["--resume", "--max-steps", "1"];
    succeeded(&sandbox.train("run", &more).output().unwrap());
}
