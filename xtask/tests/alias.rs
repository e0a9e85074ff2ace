//! Aliases of commands of `flow`: arguments, folder, output and exit status are passed on. A script
//! stands in for cargo.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

/// Tells where it runs and what it is given, one a line, and fails as asked.
const STAND_IN: &str = "#!/bin/sh
pwd
while [ \"$1\" != -- ]; do shift; done
printf '%s\\n' \"$@\"
echo aside >&2
exit \"$STATUS\"
";

#[test]
fn what_is_typed_and_what_comes_back_are_those_of_flow() {
    let work = tempfile::tempdir().unwrap();
    let cargo = work.path().join("cargo");
    fs::write(&cargo, STAND_IN).unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    let aliases: [(&[&str], &[&str]); 3] = [
        (&["convert-checkpoint"], &["convert"]),
        (&["fetch"], &["fetch"]),
        (&["fetch-mnist"], &["fetch", "mnist"]),
    ];
    let arguments: [&[&str]; 4] = [
        &[],
        &["--help"],
        &["in.pt", "an out", "--size", "8", "-v"],
        &["--to=nflows", "--", "-x"],
    ];
    for (typed, words) in aliases {
        for (more, status) in arguments.into_iter().zip([0, 1, 2, 101]) {
            let ran = Command::new(env!("CARGO_BIN_EXE_xtask"))
                .args(typed)
                .args(more)
                .env("CARGO", &cargo)
                .env("STATUS", status.to_string())
                .current_dir(work.path())
                .output()
                .unwrap();
            let folder = fs::canonicalize(work.path()).unwrap();
            let folder = folder.to_str().unwrap();
            let expected = [&["--"], words, more].concat();
            let expected = format!("{folder}\n{}\n", expected.join("\n"));
            assert_eq!(String::from_utf8(ran.stdout).unwrap(), expected);
            assert_eq!(ran.stderr, b"aside\n");
            assert_eq!(ran.status.code(), Some(status));
        }
    }
}
