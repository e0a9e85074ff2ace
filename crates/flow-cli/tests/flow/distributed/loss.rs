//! A process that is lost ends all, and a training leaves a checkpoint that goes on.

use std::{
    fs,
    process::Child,
    thread,
    time::{Duration, Instant},
};

use crate::sandbox::{Report, Sandbox, signal, step};

/// The longest time that a job may take to end after a loss.
const LIMIT: Duration = Duration::from_secs(30);

/// Begins a training that would never end, and waits until it has saved some steps.
fn begin(sandbox: &Sandbox) -> Child {
    let words = "train --out run --levels 1 --steps 1 --width 8 --batch-size 16 --epochs 1000000 --save-interval 1ns";
    let mut train = sandbox.together(2, words);
    // Between SIGTERM and SIGKILL, even on a loaded machine.
    train.env("OMPI_MCA_odls_base_sigkill_timeout", "5");
    sandbox.begin("run", 5, &mut train)
}

/// Steps that the saved training has taken.
fn saved(sandbox: &Sandbox) -> Option<u64> {
    step(&sandbox.path("run/training.safetensors"))
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

/// Waits for the end of a job, which must come in time and leave a training that one process goes
/// on with; what was said on stderr.
fn ends(sandbox: &Sandbox, mut child: Child) -> String {
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < LIMIT, "it hangs");
        thread::sleep(Duration::from_millis(20));
    }
    let stderr = Report::of_child(child).stderr;
    let steps = saved(sandbox).unwrap();
    assert!(steps >= 5);
    sandbox.ok("eval --checkpoint run/model.safetensors --limit 20");
    let limit = steps + 3;
    sandbox.ok(&format!("train --out run --resume --max-steps {limit}"));
    assert_eq!(saved(sandbox), Some(limit));
    stderr
}

#[test]
fn a_killed_rank_ends_the_training_with_a_good_checkpoint() {
    for rank in [1, 0] {
        let sandbox = Sandbox::new();
        let child = begin(&sandbox);
        assert!(signal(process(&child, rank), "-KILL"));
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
    assert!(signal(process(&child, 0), "-TERM"));
    let stderr = ends(&sandbox, child);
    assert!(stderr.contains("stopped after step"), "{stderr}");
}

/// The peer of a rank that stands still is told so, and ends the job; no launcher notices.
#[test]
fn a_silent_rank_ends_the_training() {
    let sandbox = Sandbox::new();
    let child = begin(&sandbox);
    assert!(signal(process(&child, 1), "-STOP"));
    let stderr = ends(&sandbox, child);
    assert!(stderr.contains("have not answered for"), "{stderr}");
}
