//! Disks that are full or read-only, and folders that vanish: a clear error, and the last good
//! checkpoint stays.

use std::{
    fs,
    process::{Child, Command},
};

use super::{EACH_STEP, TINY};
use crate::sandbox::{Report, Sandbox};

/// Options of a training that no test sees the end of.
fn endless() -> String {
    format!("{TINY} {EACH_STEP} --epochs 1000000")
}

/// Begins a training that no test sees the end of, in `run`.
fn begin(sandbox: &Sandbox) -> Child {
    let mut train = sandbox.flow(&format!("train --out run {}", endless()));
    sandbox.begin("run", 1, &mut train)
}

/// Resumes a copy of a training, which must be whole.
fn assert_resumable(sandbox: &Sandbox, out: &str) {
    sandbox.assert_usable(&format!("{out}/training.safetensors"));
    sandbox.ok(&format!("train --out {out} --resume --max-steps 1"));
    sandbox.assert_usable(&format!("{out}/model.safetensors"));
}

#[test]
fn a_folder_that_is_moved_away_ends_the_training_and_stays_whole() {
    let sandbox = Sandbox::with_digits();
    let child = begin(&sandbox);
    fs::rename(sandbox.path("run"), sandbox.path("moved")).unwrap();
    let error = Report::of_child(child).refused(1);
    assert!(error.starts_with("error: cannot write `run/"), "{error}");
    assert!(error.contains("No such file or directory"), "{error}");
    assert!(!sandbox.path("run").exists());
    assert_resumable(&sandbox, "moved");
}

#[test]
fn a_folder_that_is_removed_ends_the_training() {
    let sandbox = Sandbox::with_digits();
    let child = begin(&sandbox);
    // A file may be written just between the removal of the others and of the folder.
    while sandbox.path("run").exists() {
        let _ = fs::remove_dir_all(sandbox.path("run"));
    }
    let error = Report::of_child(child).refused(1);
    assert!(error.starts_with("error: cannot write `run/"), "{error}");
}

#[test]
fn a_folder_in_place_of_the_checkpoint_ends_the_training() {
    let sandbox = Sandbox::with_digits();
    let child = begin(&sandbox);
    let file = sandbox.path("run/training.safetensors");
    // The training may put the file back in between.
    while fs::rename(&file, sandbox.path("kept")).is_err() || fs::create_dir(&file).is_err() {}
    let error = Report::of_child(child).refused(1);
    assert!(
        error.starts_with("error: cannot write `run/training.safetensors`: Is a directory"),
        "{error}"
    );
    sandbox.assert_usable("kept");
    sandbox.assert_usable("run/model.safetensors");

    fs::remove_dir(&file).unwrap();
    fs::rename(sandbox.path("kept"), &file).unwrap();
    assert_resumable(&sandbox, "run");
    let left = fs::read_dir(sandbox.path("run")).unwrap().flatten();
    let left = left.filter(|entry| entry.file_name().to_string_lossy().starts_with(".training"));
    assert_eq!(left.count(), 0, "a leftover was not tidied up");
}

/// The limit on the size of a file lets the first checkpoint through, and not those that hold the
/// moments of the optimizer too.
#[test]
fn a_file_that_cannot_grow_ends_the_training_and_the_last_one_stays() {
    let sandbox = Sandbox::with_digits();
    let script = format!(
        "trap '' XFSZ; ulimit -f 80; exec '{}' train --out run {}",
        env!("CARGO_BIN_EXE_flow"),
        endless()
    );
    let error = Report::of(sandbox.command("sh").args(["-c", &script])).refused(1);
    assert!(
        error.starts_with("error: cannot write `run/training.safetensors`: File too large"),
        "{error}"
    );
    assert_resumable(&sandbox, "run");
}

#[test]
fn a_full_disk_ends_the_training_and_the_last_checkpoint_stays() {
    let sandbox = Sandbox::with_digits();
    // Room for the first checkpoints, not for a later one beside them.
    let error = on_small_disk(&sandbox, "80k", "wait $training");
    if let Some(error) = error {
        assert!(
            error.starts_with("error: cannot write `disk/run/"),
            "{error}"
        );
        assert!(error.contains("No space left on device"), "{error}");
        assert_resumable(&sandbox, "copy");
    }
}

#[test]
fn a_disk_that_becomes_read_only_ends_the_training_and_the_last_checkpoint_stays() {
    let sandbox = Sandbox::with_digits();
    let error = on_small_disk(
        &sandbox,
        "10m",
        // A disk with open files cannot be made read-only, but a view of it can.
        "until [ -s disk/run/metrics.jsonl ] || ! kill -0 $training; do sleep 0.01; done
         mount --bind disk disk && mount -o remount,bind,ro disk; wait $training",
    );
    if let Some(error) = error {
        assert!(error.contains("Read-only file system"), "{error}");
        assert_resumable(&sandbox, "copy");
    }
}

/// Trains on a disk of its own while a script meddles with it; the training's error. What is on the
/// disk afterwards is in `copy`. None where no disk can be mounted.
fn on_small_disk(sandbox: &Sandbox, size: &str, meddle: &str) -> Option<String> {
    let unshare = |script: &str| {
        let mut command = sandbox.command("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
        command
    };
    fs::create_dir(sandbox.path("disk")).unwrap();
    let mount = format!("mount -t tmpfs -o size={size} tmpfs disk");
    if !can_run(unshare(&mount)) {
        eprintln!("skipped: mounting a disk is not permitted here");
        return None;
    }
    let script = format!(
        "{mount} || exit 9
         '{}' train --out disk/run {} & training=$!
         {meddle}
         status=$?; cp -r disk/run copy; exit $status",
        env!("CARGO_BIN_EXE_flow"),
        endless()
    );
    let report = Report::of(&mut unshare(&script));
    assert!(sandbox.path("copy").exists(), "{report:#?}");
    Some(report.refused(1))
}

fn can_run(mut command: Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}
