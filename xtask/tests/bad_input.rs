//! Commands with everything that can be wrong with what they are given: status,
//! one line on stderr, nothing on stdout, no file that appears, changes or goes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;

/// Arguments, the exit status, and a part of the error.
const ROWS: [(&str, i32, &str); 8] = [
    ("fetch-cifar", 2, "unrecognized subcommand 'fetch-cifar'"),
    ("cuda-build --cuda-arch 9.0", 2, "invalid value '9.0'"),
    ("cuda-build --cuda-arch 9", 2, "9 is not in 53..=200"),
    ("fuzz pcap", 2, "invalid value 'pcap'"),
    ("fuzz --runs many", 2, "invalid value 'many'"),
    (
        "bundle-mnist --data-dir nowhere",
        1,
        "run `cargo xtask fetch-mnist` first",
    ),
    (
        "bundle-mnist --data-dir file",
        1,
        "run `cargo xtask fetch-mnist` first",
    ),
    (
        "bundle-mnist --data-dir folders",
        1,
        "run `cargo xtask fetch-mnist` first",
    ),
];

fn sandbox() -> TempDir {
    let sandbox = tempfile::tempdir().unwrap();
    fs::write(sandbox.path().join("file"), b"no folder").unwrap();
    fs::create_dir(sandbox.path().join("empty")).unwrap();
    fs::create_dir_all(sandbox.path().join("folders/train-images-idx3-ubyte")).unwrap();
    sandbox
}

fn command(sandbox: &Path, args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command
        .args(args.split_whitespace())
        .current_dir(sandbox)
        .env("RUST_BACKTRACE", "0");
    command
}

/// The stderr of a command that must fail with this status and change nothing.
fn fails(sandbox: &Path, command: &mut Command, status: i32) -> String {
    let before = tree(sandbox);
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(status), "{command:?}: {stderr}");
    assert_eq!(output.stdout, b"", "{command:?} prints to stdout");
    assert!(stderr.starts_with("error: "), "{command:?}: {stderr}");
    assert!(
        status == 2 || stderr.lines().count() == 1,
        "{command:?}: {stderr}"
    );
    assert_eq!(before, tree(sandbox), "{command:?} leaves something behind");
    stderr
}

/// Every file with its content, and every folder.
fn tree(folder: &Path) -> Vec<(String, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let content = fs::read(&path).ok();
        if content.is_none() {
            found.extend(tree(&path));
        }
        found.push((path.display().to_string(), content));
    }
    found.sort();
    found
}

#[test]
fn mistakes_are_one_line() {
    let sandbox = sandbox();
    for (args, status, expected) in ROWS {
        let error = fails(sandbox.path(), &mut command(sandbox.path(), args), status);
        assert!(error.contains(expected), "{args}: {error}");
    }
}

#[test]
fn a_toolkit_that_is_not_where_it_should_be() {
    let sandbox = sandbox();
    for name in ["CUDA_HOME", "CUDA_PATH"] {
        let mut command = command(sandbox.path(), "cuda-build");
        command.env_remove("CUDA_HOME");
        let error = fails(sandbox.path(), command.env(name, "empty"), 1);
        assert!(
            error.contains(&format!("`{name}` names `empty`")),
            "{error}"
        );
    }
}
