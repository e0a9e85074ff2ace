//! Wrong uses: the status, an error on stderr that says what is missing, nothing on stdout.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

/// The words typed, the status, and a part of the error.
const ROWS: [(&str, i32, &str); 12] = [
    ("", 2, "Usage: flow-bench <COMMAND>"),
    ("peers --rounds 2", 2, "2 is not in 3.."),
    ("peers --device gpu", 2, "[possible values: cpu, cuda]"),
    ("peers --vectors --device cpu", 2, "cannot be used with"),
    ("peers --steps 20", 2, "--vectors"),
    ("peers", 1, "`peers/bin/python` is no Python with torch"),
    (
        "peers --vectors --python nowhere",
        1,
        "`nowhere` is no Python",
    ),
    (
        "training --minutes 0",
        2,
        "expected minutes, from 0.01 to 10000",
    ),
    (
        "training --minutes 1",
        1,
        "`--every 2` is longer than `--minutes 1`",
    ),
    ("training", 1, "`peers/bin/python` is no Python with torch"),
    (
        "samples --temperature=-1",
        1,
        "`--temperature` must be 0 or more",
    ),
    ("samples", 1, "run `cargo xtask fetch-mnist` first"),
];

#[test]
fn mistakes_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    for (words, status, expected) in ROWS {
        let output = Command::new(env!("CARGO_BIN_EXE_flow-bench"))
            .args(words.split_whitespace())
            .current_dir(folder.path())
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{words}: {stderr}");
        assert_eq!(output.stdout, b"", "{words} prints to stdout");
        assert!(stderr.contains(expected), "{words}: {stderr}");
        assert!(
            status == 2 || stderr.lines().count() == 1,
            "{words}: {stderr}"
        );
        assert_eq!(folder.path().read_dir().unwrap().count(), 0, "{words}");
    }
}
