//! The commands that fetch data, with everything that can be wrong with what they are given: status,
//! one line on stderr, nothing on stdout, no file that appears, changes or goes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;

/// What is typed, the status it ends with, and what the error says.
const ROWS: [(&str, i32, &str); 26] = [
    ("fetch", 2, "required arguments were not provided"),
    (
        "fetch imagenet",
        2,
        "unknown data set `imagenet`; expected `mnist`, `fashion-mnist` or `cifar10`",
    ),
    ("fetch mnist cifar10", 2, "unexpected argument 'cifar10'"),
    (
        "fetch mnist --from",
        2,
        "a value is required for '--from <DIR>'",
    ),
    ("fetch mnist --to data", 2, "unexpected argument '--to'"),
    ("fetch-mnist cifar10", 2, "unexpected argument 'cifar10'"),
    ("fetch-cifar", 2, "unrecognized subcommand 'fetch-cifar'"),
    ("cuda-build --cuda-arch 9.0", 2, "invalid value '9.0'"),
    ("cuda-build --cuda-arch 9", 2, "9 is not in 53..=200"),
    ("fuzz pcap", 2, "invalid value 'pcap'"),
    ("fuzz --runs many", 2, "invalid value 'many'"),
    (
        "fetch mnist --from nowhere",
        1,
        "`nowhere` does not hold mnist: looked for `train-images-idx3-ubyte.gz`, ",
    ),
    ("fetch mnist --from file", 1, "`file` does not hold mnist"),
    ("fetch mnist --from empty", 1, "`empty` does not hold mnist"),
    (
        "fetch mnist --from folders",
        1,
        "`folders` does not hold mnist",
    ),
    (
        "fetch mnist --from part",
        1,
        "`part/MNIST/raw` holds a part of mnist, but not `train-labels-idx1-ubyte`",
    ),
    (
        "fetch mnist --from other",
        1,
        "`other/train-images-idx3-ubyte` is not the published",
    ),
    (
        "fetch mnist --from broken",
        1,
        "cannot read `broken/train-images-idx3-ubyte.gz`",
    ),
    (
        "fetch mnist --from twice",
        1,
        "`twice/train-images-idx3-ubyte` and `twice/train-images.idx3-ubyte` are the same file by name",
    ),
    (
        "fetch fashion-mnist --from other",
        1,
        "is not the published `train-images-idx3-ubyte`",
    ),
    (
        "fetch cifar10 --from other",
        1,
        "`other` does not hold cifar10: looked for `data_batch_1.bin.gz`, `data_batch_1.bin` in it",
    ),
    (
        "fetch-mnist --from other",
        1,
        "run `cargo xtask fetch mnist` without `--from` to download it",
    ),
    (
        "fetch-mnist --data-dir file --from other",
        1,
        "is not the published",
    ),
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
    let write = |name: &str, content: &[u8]| {
        let path = sandbox.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    write("file", b"no folder");
    let files = [
        "train-images-idx3",
        "train-labels-idx1",
        "t10k-images-idx3",
        "t10k-labels-idx1",
    ];
    for file in files {
        write(&format!("other/{file}-ubyte"), b"no images");
        write(&format!("twice/{file}-ubyte"), b"no images");
        // It begins as gzip does.
        write(&format!("broken/{file}-ubyte.gz"), &[0x1f, 0x8b, 8, 0]);
    }
    write("twice/train-images.idx3-ubyte", b"no images either");
    write("part/MNIST/raw/train-images-idx3-ubyte", b"no images");
    fs::create_dir(sandbox.path().join("empty")).unwrap();
    fs::create_dir_all(sandbox.path().join("folders/train-images-idx3-ubyte")).unwrap();
    sandbox
}

fn command(sandbox: &Path, args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command
        .args(args.split_whitespace())
        .current_dir(sandbox)
        .env("RUST_BACKTRACE", "0")
        .env("HF_HOME", sandbox.join("cache"))
        .env("HF_ENDPOINT", "http://127.0.0.1:9");
    command
}

/// What stderr says after a command that must fail with this status and change nothing.
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
fn an_endpoint_that_is_no_address() {
    let sandbox = sandbox();
    let mut command = command(sandbox.path(), "fetch-mnist");
    let error = fails(sandbox.path(), command.env("HF_ENDPOINT", "no address"), 1);
    assert!(error.contains("HF_ENDPOINT"), "{error}");
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
