//! A process that is lost ends all, and a training leaves a checkpoint that goes on.

use super::sandbox::Sandbox;
use serde_json::Value;
use std::{
    fs,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long a job may take to end after a loss.
const LIMIT: Duration = Duration::from_secs(30);

/// Begins a training that would never end, and waits until it has saved some steps.
fn begin(sandbox: &Sandbox) -> Child {
    let args = "train --out run --levels 1 --steps 1 --width 8 --batch-size 16 --epochs 1000000 --save-interval 1ns";
    let args: Vec<_> = args.split(' ').collect();
    let mut command = sandbox.together(2, &args);
    // Between SIGTERM and SIGKILL, even on a loaded machine.
    command.env("OMPI_MCA_odls_base_sigkill_timeout", "5");
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    while step(sandbox).is_none_or(|step| step < 5) {
        assert!(child.try_wait().unwrap().is_none(), "it ended too early");
        assert!(
            began.elapsed() < Duration::from_mins(2),
            "no sign of a step"
        );
        thread::sleep(Duration::from_millis(5));
    }
    child
}

/// Steps that the saved training has taken.
fn step(sandbox: &Sandbox) -> Option<u64> {
    let bytes = fs::read(sandbox.path("run/training.safetensors")).ok()?;
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let metadata: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let header = metadata["__metadata__"]["flow"].as_str().unwrap();
    let header: Value = serde_json::from_str(header).unwrap();
    header["training"]["progress"]["step"].as_u64()
}

/// The process of a rank below `mpirun`.
fn process(mpirun: &Child, rank: usize) -> u32 {
    let threads = fs::read_dir(format!("/proc/{}/task", mpirun.id())).unwrap();
    let children = threads.map(|thread| {
        let children = thread.unwrap().path().join("children");
        fs::read_to_string(children).unwrap()
    });
    let children = children.collect::<Vec<_>>().join(" ");
    let mut pids = children.split_whitespace().map(|pid| pid.parse().unwrap());
    let place = format!("OMPI_COMM_WORLD_RANK={rank}");
    let is_rank = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == place.as_bytes())
    };
    pids.find(is_rank).unwrap()
}

fn signal(pid: u32, signal: &str) {
    let kill = Command::new("kill")
        .args([signal, &pid.to_string()])
        .status();
    assert!(kill.unwrap().success());
}

/// Waits for the end of a job, which must come in time and leave a training that one process goes on with;
/// what was said on stderr.
fn ends(sandbox: &Sandbox, mut child: Child) -> String {
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < LIMIT, "it hangs");
        thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!stderr.contains("panicked"), "{stderr}");
    let saved = step(sandbox).unwrap();
    assert!(saved >= 5);
    let eval = [
        "eval",
        "--checkpoint",
        "run/model.safetensors",
        "--limit",
        "20",
    ];
    sandbox.run(0, &eval);
    let limit = (saved + 3).to_string();
    sandbox.run(
        0,
        &["train", "--out", "run", "--resume", "--max-steps", &limit],
    );
    assert_eq!(step(sandbox), Some(saved + 3));
    stderr
}

#[test]
fn a_killed_rank_ends_the_training_with_a_good_checkpoint() {
    for rank in [1, 0] {
        let sandbox = Sandbox::new();
        let child = begin(&sandbox);
        signal(process(&child, rank), "-KILL");
        let stderr = ends(&sandbox, child);
        assert!(stderr.contains("signal 9 (Killed)"), "{stderr}");
        // Rank 0 is left to save what there is.
        if rank == 1 {
            assert!(stderr.contains("`--resume` goes on"), "{stderr}");
        }
    }
}

#[test]
fn a_job_that_is_asked_to_stop_saves() {
    let sandbox = Sandbox::new();
    let child = begin(&sandbox);
    signal(process(&child, 0), "-TERM");
    let stderr = ends(&sandbox, child);
    assert!(stderr.contains("stopped after step"), "{stderr}");
}

/// The peer of a rank that stands still is told so, and ends the job; no launcher notices.
#[test]
fn a_silent_rank_ends_the_training() {
    let sandbox = Sandbox::new();
    let child = begin(&sandbox);
    signal(process(&child, 1), "-STOP");
    let stderr = ends(&sandbox, child);
    assert!(stderr.contains("have not answered for"), "{stderr}");
}
