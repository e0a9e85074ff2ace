//! Limits that a resumed training finds, and the measurement at its end.

use super::sandbox::{EACH_STEP, Sandbox, TINY, header, step, succeeded};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
};

fn limits(sandbox: &Sandbox) -> Value {
    let bytes = fs::read(sandbox.path("run/training.safetensors")).unwrap();
    header(&bytes)["resume"]["notes"]["limits"].clone()
}

#[test]
fn a_limit_that_lies_behind_does_not_replace_the_planned_one() {
    let sandbox = Sandbox::new();
    let plan = [TINY, EACH_STEP, &["--max-steps", "1000000"]].concat();
    let mut child = sandbox.begin("run", &plan);
    child.kill().unwrap();
    child.wait().unwrap();
    let planned = limits(&sandbox);
    assert_eq!(planned["steps"], 1_000_000);
    let resume = |limit: [&str; 2]| {
        let more = [&["--resume"][..], &limit].concat();
        let output = sandbox.train("run", &more).output().unwrap();
        succeeded(&output);
        String::from_utf8(output.stderr).unwrap()
    };
    for behind in [["--max-steps", "1"], ["--time-limit", "1ns"]] {
        let said = resume(behind);
        assert!(
            said.contains("a later `--resume` still trains for 1,000,000 steps"),
            "{said}"
        );
        assert_eq!(limits(&sandbox), planned);
    }

    // One that lies ahead does, and one that was reached by training stays.
    let steps = step(&sandbox.path("run/training.safetensors")).unwrap() + 2;
    let ahead = steps.to_string();
    let said = resume(["--max-steps", &ahead]);
    assert!(!said.contains("nothing is left"), "{said}");
    assert_eq!(limits(&sandbox)["steps"], steps);
    let said = resume(["--max-steps", &ahead]);
    assert!(said.contains("is reached; raise it to go on"), "{said}");
    assert_eq!(limits(&sandbox)["steps"], steps);
}

#[test]
fn as_many_test_images_are_measured_as_asked_and_it_is_said_before() {
    let sandbox = Sandbox::new();
    let options = [TINY, &["--max-steps", "2"]].concat();
    let measured = |more: &[&str]| {
        let output = sandbox.train("run", more).output().unwrap();
        let stderr = String::from_utf8(output.stderr.clone()).unwrap();
        (succeeded(&output), stderr)
    };
    let (result, said) = measured(&[&options[..], &["--eval-images", "7"]].concat());
    assert!(result.contains("on 7 test images"), "{result}");
    assert!(said.contains("measuring 7 test images"), "{said}");
    // It is remembered, and can be changed.
    let (result, _) = measured(&["--resume", "--max-steps", "3"]);
    assert!(result.contains("on 7 test images"), "{result}");
    let (result, _) = measured(&["--resume", "--max-steps", "4", "--eval-images", "100"]);
    assert!(result.contains("on 20 test images"), "{result}");
}

/// On the bundled test images and one thread, measuring this model takes seconds.
#[test]
fn an_interrupted_measurement_is_told_and_made_up_for() {
    let sandbox = Sandbox::new();
    fs::rename(sandbox.path("data"), sandbox.path("elsewhere")).unwrap();
    let options = [
        "--preset",
        "base",
        "--batch-size",
        "16",
        "--max-steps",
        "1",
        "--threads",
        "1",
    ];
    let mut child = sandbox
        .train("run", &options)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("measuring 2,000 test images; Ctrl-C skips that") {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "it never measured");
    }
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success(), "{rest}");
    assert!(
        rest.contains(
            "the training is complete after step 1 and saved to `run`; skipped measuring 2,000 test images: \
             `--resume` or `flow eval --checkpoint run/model.safetensors` does it"
        ),
        "{rest}"
    );
    assert_eq!(step(&sandbox.path("run/training.safetensors")), Some(1));
    let more = ["--resume", "--eval-images", "10"];
    let result = succeeded(&sandbox.train("run", &more).output().unwrap());
    assert!(result.contains("on 10 test images"), "{result}");
}
