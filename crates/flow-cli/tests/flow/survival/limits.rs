//! Limits that a resumed training finds, and the measurement at its end.

use std::{
    io::{BufRead, BufReader, Read},
    process::Stdio,
};

use serde_json::Value;

use super::{EACH_STEP, TINY};
use crate::sandbox::{Sandbox, header, signal, step};

fn limits(sandbox: &Sandbox) -> Value {
    let bytes = sandbox.read("run/training.safetensors");
    header(&bytes)["resume"]["notes"]["limits"].clone()
}

#[test]
fn a_limit_that_lies_behind_does_not_replace_the_planned_one() {
    let sandbox = Sandbox::with_digits();
    let train = format!("train --out run {TINY} {EACH_STEP} --max-steps 1000000");
    let mut child = sandbox.begin("run", 1, &mut sandbox.flow(&train));
    child.kill().unwrap();
    child.wait().unwrap();
    let planned = limits(&sandbox);
    assert_eq!(planned["steps"], 1_000_000);
    let resume = |limit: &str| {
        let resume = format!("train --out run --resume {limit}");
        sandbox.run(&resume).succeeded().stderr
    };
    for behind in ["--max-steps 1", "--time-limit 1ns"] {
        let said = resume(behind);
        assert!(
            said.contains("a later `--resume` still trains for 1,000,000 steps"),
            "{said}"
        );
        assert_eq!(limits(&sandbox), planned);
    }

    // One that lies ahead does, and one that was reached by training stays.
    let steps = step(&sandbox.path("run/training.safetensors")).unwrap() + 2;
    let ahead = format!("--max-steps {steps}");
    let said = resume(&ahead);
    assert!(!said.contains("nothing is left"), "{said}");
    assert_eq!(limits(&sandbox)["steps"], steps);
    let said = resume(&ahead);
    assert!(said.contains("is reached; raise it to go on"), "{said}");
    assert_eq!(limits(&sandbox)["steps"], steps);
}

#[test]
fn as_many_test_images_are_measured_as_asked_and_it_is_said_before() {
    let sandbox = Sandbox::with_digits();
    let measured = |options: &str| {
        let report = sandbox
            .run(&format!("train --out run {options}"))
            .succeeded();
        (report.stdout, report.stderr)
    };
    let (result, said) = measured(&format!("{TINY} --max-steps 2 --eval-images 7"));
    assert!(result.contains("on 7 test images"), "{result}");
    assert!(said.contains("measuring 7 test images"), "{said}");
    // It is remembered, and can be changed.
    let (result, _) = measured("--resume --max-steps 3");
    assert!(result.contains("on 7 test images"), "{result}");
    let (result, _) = measured("--resume --max-steps 4 --eval-images 100");
    assert!(result.contains("on 20 test images"), "{result}");
}

/// On the bundled test images and one thread, measuring this model takes seconds.
#[test]
fn an_interrupted_measurement_is_told_and_made_up_for() {
    let sandbox = Sandbox::new();
    let options = "--preset base --batch-size 16 --max-steps 1 --threads 1";
    let mut train = sandbox.flow(&format!("train --out run {options}"));
    train.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = train.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("measuring 2,000 test images; Ctrl-C skips that") {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "it never measured");
    }
    assert!(signal(child.id(), "-INT"));
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
    let result = sandbox.ok("train --out run --resume --eval-images 10");
    assert!(result.contains("on 10 test images"), "{result}");
}
