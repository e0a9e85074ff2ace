//! Every command with everything that can be wrong with what it is given: the real binary, one row
//! a mistake.
//!
//! A mistake in what was typed ends with status 2, any other with status 1 and exactly one line on
//! stderr, which the snapshots show. Nothing is on stdout, and no file appears, changes or goes.

mod fetch;
mod files;
mod images;
mod latent_space;
mod trainings;
mod typed;

use std::{
    ffi::OsStr,
    fs::{self, File},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    process::Command,
    time::SystemTime,
};

use walkdir::WalkDir;

use crate::sandbox::{Report, Sandbox};

const RUN: &str = "run/model.safetensors";

/// Stays in every folder in which a training was tried; the system forgets who held it.
const LOCK: &str = ".lock";

/// The smallest model that trains, for one step, with a header that does not depend on the images.
/// The paper's prior does not depend on the size of the images, which is then wrong by itself where
/// it is.
const TINY: &str = "--preset paper --levels 1 --steps 1 --width 2 --preprocessing logit --batch-size 16 --max-steps 1";

impl Sandbox {
    /// A folder with a trained model and with files that are none.
    fn with_everything_wrong() -> Self {
        let sandbox = Self::trained(TINY);
        sandbox.write("text", "no checkpoint");
        sandbox.write("empty", "");
        fs::create_dir(sandbox.path("folder")).unwrap();
        sandbox
    }

    /// Every file with its size and the time of its last change, and every folder.
    fn tree(&self) -> Vec<(PathBuf, Option<(u64, SystemTime)>)> {
        let entries = WalkDir::new(self.path("")).sort_by_file_name().into_iter();
        let entries = entries.map(Result::unwrap);
        let entries = entries.filter(|entry| entry.file_name() != LOCK);
        let state = |entry: walkdir::DirEntry| {
            let metadata = entry.metadata().unwrap();
            let of_file = (metadata.len(), metadata.modified().unwrap());
            (entry.into_path(), metadata.is_file().then_some(of_file))
        };
        entries.map(state).collect()
    }
}

/// stderr of a command that must fail with this status and change nothing.
fn fails(sandbox: &Sandbox, status: i32, command: &mut Command) -> String {
    let before = sandbox.tree();
    let report = Report::of(command);
    report.refused(status);
    assert_eq!(
        before,
        sandbox.tree(),
        "{command:?} leaves something behind"
    );
    // Which images were opened, or which model, is said before they prove unsuitable.
    let is_note = |line: &str| {
        line.contains(" images; the full data set is not in ")
            || line.contains(" images in `")
            || line.contains(" image in `")
            || line.starts_with("files in `")
            || line.starts_with("no `--checkpoint`")
    };
    let error = match report.stderr.split_once('\n') {
        Some((note, rest)) if is_note(note) => rest,
        _ => &report.stderr,
    };
    assert!(error.starts_with("error: "), "{report:#?}");
    error.to_owned()
}

/// The errors of commands, one to a line of `rows`, as a reader would see them.
pub(crate) fn transcript(sandbox: &Sandbox, rows: &str) -> String {
    let errors = lines(rows).map(|row| {
        let error = fails(sandbox, 1, &mut sandbox.flow(row));
        assert_eq!(error.lines().count(), 1, "{row}: {error}");
        format!("$ flow {row}\n{error}")
    });
    errors.collect::<Vec<_>>().join("\n")
}

/// The first lines of what clap says about commands, one to a line of `rows`.
pub(crate) fn typed(sandbox: &Sandbox, rows: &str) -> String {
    let errors = lines(rows).map(|row| {
        let error = fails(sandbox, 2, &mut sandbox.flow(row));
        assert!(
            error.contains("For more information, try '--help'."),
            "{row}: {error}"
        );
        format!("$ flow {row}\n{}\n", error.lines().next().unwrap())
    });
    errors.collect::<Vec<_>>().join("\n")
}

/// The lines of a table in the source.
fn lines(rows: &str) -> impl Iterator<Item = &str> {
    rows.lines().map(str::trim).filter(|row| !row.is_empty())
}

#[test]
fn benchmarks_that_cannot_be() {
    let sandbox = Sandbox::with_everything_wrong();
    let rows = "
        bench --size 7
        bench --size 4 --levels 3
        bench --size 100000
        bench --size 18446744073709551615
        bench --channels 100000
        bench --steps 256 --width 8192 --levels 2
    ";
    insta::assert_snapshot!("bench", transcript(&sandbox, rows));
}

#[test]
fn devices_that_are_not_there() {
    let sandbox = Sandbox::with_everything_wrong();
    let mut rows = Vec::new();
    if cfg!(not(feature = "cuda")) {
        rows.push(("cuda:1", "--features cuda"));
    } else {
        rows.push(("cuda:63", "cannot open the device `cuda:63`"));
    }
    if cfg!(not(feature = "metal")) {
        rows.push(("metal", "--features metal"));
    }
    for (device, expected) in rows {
        for command in [
            format!("train --out new --device {device}"),
            format!("eval --checkpoint {RUN} --device {device}"),
            format!("sample --checkpoint {RUN} --device {device}"),
            format!("bench --device {device}"),
        ] {
            let error = transcript(&sandbox, &command);
            assert!(error.contains(expected), "{error}");
        }
    }
}

#[test]
fn names_that_are_no_text() {
    let sandbox = Sandbox::with_everything_wrong();
    for (name, shown) in [(&b"two\nlines"[..], "two lines"), (b"\xff", "\u{fffd}")] {
        let mut command = sandbox.flow("inspect");
        let error = fails(&sandbox, 1, command.arg(OsStr::from_bytes(name)));
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.contains(&format!("`{shown}`")), "{error}");
    }
}

#[test]
fn a_full_disk_behind_stdout() {
    let sandbox = Sandbox::with_everything_wrong();
    for args in [
        format!("inspect {RUN}"),
        format!("inspect {RUN} --json"),
        format!("sample --checkpoint {RUN} --count 1 --out -"),
    ] {
        let mut command = sandbox.flow(&args);
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = command.stdout(full).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args}: {stderr}");
        assert!(stderr.contains("No space left on device"), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{args}: {stderr}");
    }
}
