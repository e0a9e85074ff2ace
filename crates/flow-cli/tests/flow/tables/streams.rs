//! Standard input and output, Parquet, and more rows than memory.

use std::{
    io::{Read, Write},
    process::Stdio,
};

use crate::{
    sandbox::{Report, Sandbox},
    tables::{MODEL, TINY, column, pets},
};

#[test]
fn tables_go_through_pipes_and_parquet() {
    let sandbox = Sandbox::with_pets();
    sandbox.ok(&format!(
        "sample --checkpoint {MODEL} --rows 50 --given mood=-1 --out a.csv"
    ));
    sandbox.ok(&format!(
        "sample --checkpoint {MODEL} --rows 50 --given mood=-1 --out a.parquet"
    ));
    let of_csv = sandbox.ok(&format!("score --checkpoint {MODEL} a.csv"));
    let of_parquet = sandbox.ok(&format!("score --checkpoint {MODEL} a.parquet"));
    assert_eq!(of_csv, of_parquet);
    let mut score = sandbox.flow(&format!("score --checkpoint {MODEL} -"));
    let piped = score.stdin(Stdio::from(
        std::fs::File::open(sandbox.path("a.csv")).unwrap(),
    ));
    assert_eq!(Report::of(piped).succeeded().stdout, of_csv);
    let mut fit = sandbox.flow(&format!("fit - {TINY} --out piped.safetensors"));
    let piped = fit.stdin(Stdio::from(
        std::fs::File::open(sandbox.path("pets.csv")).unwrap(),
    ));
    Report::of(piped).succeeded();
    sandbox.ok(&format!("fit pets.csv {TINY} --out named.safetensors"));
    let tensors = |name: &str| sandbox.read_tensors(name).into_keys().collect::<Vec<_>>();
    assert_eq!(tensors("piped.safetensors"), tensors("named.safetensors"));
}

/// Scores appear while the table still comes.
#[test]
fn scores_come_before_the_table_ends() {
    let sandbox = Sandbox::with_pets();
    let mut score = sandbox.flow(&format!("score --checkpoint {MODEL} -"));
    score
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = score.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(pets(17_000).as_bytes()).unwrap();
    let mut seen = [0; 1 << 12];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut seen)
        .unwrap();
    assert!(seen.starts_with(b"row,log_prob\n1,"));
    drop(stdin);
    Report::of_child(child).succeeded();
}

#[test]
fn the_end_of_the_reader_is_no_failure() {
    let sandbox = Sandbox::with_pets();
    let mut sample = sandbox.flow(&format!(
        "sample --checkpoint {MODEL} --rows 100000 --given mood=0"
    ));
    sample.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = sample.spawn().unwrap();
    let mut seen = [0; 64];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut seen)
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(Report::of_child(child).stderr, "");
}

#[test]
fn a_full_disk_leaves_nothing_behind() {
    let sandbox = Sandbox::with_pets();
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut sample = sandbox.flow(&format!(
        "sample --checkpoint {MODEL} --rows 10 --given mood=0"
    ));
    let output = sample.stdout(full).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("No space left on device"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[test]
fn rows_of_other_order_and_more_columns_have_the_same_scores() {
    let sandbox = Sandbox::with_pets();
    let expected = sandbox.ok(&format!("score --checkpoint {MODEL} pets.csv"));
    let table = sandbox.text("pets.csv");
    let turned = table.lines().map(|line| {
        let mut fields = line.split(',').rev().collect::<Vec<_>>();
        fields.insert(2, "other");
        fields.join(";") + "\n"
    });
    sandbox.write("turned.csv", turned.collect::<String>());
    let found = sandbox.ok(&format!("score --checkpoint {MODEL} turned.csv"));
    assert_eq!(column(&found, "log_prob"), column(&expected, "log_prob"));
}
