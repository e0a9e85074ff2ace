//! A training that was killed or interrupted anywhere ends as one that never stopped, bit for bit.
//!
//! Only times differ: `seconds` and `images_per_second` in `metrics.jsonl`, `seconds` in the
//! headers of the checkpoints.

use std::{
    collections::BTreeMap,
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::Duration,
};

use candle_core::{DType, Device};
use flow_core::random;
use serde_json::Value;

use super::{EACH_STEP, TINY};
use crate::sandbox::{Sandbox, header, metrics, signal, step, tensors, wait_for};

/// Three epochs and a part. At this learning rate, training goes back to its last good state again
/// and again, which must not differ either.
const PLAN: &str = "--max-steps 80 --lr 3 --warmup-steps 10";

#[derive(Clone, Copy, Debug)]
enum Stop {
    /// SIGKILL, at any time.
    Kill,
    /// SIGKILL, as soon as a file that is being written is seen.
    KillInWrite,
    /// SIGKILL, after which files are as a power cut may leave them.
    PowerCut,
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

/// Forty kills; `FLOW_KILLS` asks for more.
#[test]
fn killed_anywhere_and_resumed_it_is_as_if_it_had_never_stopped() {
    let kills = env::var("FLOW_KILLS").map_or(40, |kills| kills.parse().unwrap());
    stop_again_and_again(kills, 1, &[Stop::Kill, Stop::KillInWrite, Stop::PowerCut]);
}

#[test]
fn interrupted_and_resumed_it_is_as_if_it_had_never_stopped() {
    stop_again_and_again(6, 2, &[Stop::Interrupt, Stop::Terminate]);
}

/// `--flip`, `--mutate`, classes and limits are not said again.
#[test]
fn what_was_asked_for_is_remembered() {
    let sandbox = Sandbox::with_digits();
    let pixel = |file, label, place| (place * (label + 3) + file * place * place) as u8;
    sandbox.write_cifar10("data", 10, pixel);
    let options = format!("{TINY} --dataset cifar10 --classes --epochs 4");
    let changed = format!("{options} --flip --mutate 0.3");
    sandbox.ok(&format!("train --out whole {changed}"));
    let part = format!("train --out part {changed} {EACH_STEP}");
    let mut child = sandbox.begin("part", 1, &mut sandbox.flow(&part));
    child.kill().unwrap();
    child.wait().unwrap();
    sandbox.ok("train --out part --resume --dataset cifar10");
    assert_same(&sandbox.path("whole"), &sandbox.path("part"));

    // What cannot be remembered is refused.
    sandbox.ok(&format!("train --out plain {options}"));
    let resume = "train --out plain --resume --flip";
    let error = sandbox.refused(resume);
    assert!(error.contains("other values of `--flip`"), "{error}");
    let error = sandbox.refused(&format!("{resume} --mutate 0.3 --lr 1"));
    assert!(error.contains("`--lr`, `--flip`, `--mutate`"), "{error}");
}

fn stop_again_and_again(stops: usize, seed: u64, kinds: &[Stop]) {
    let sandbox = Sandbox::with_digits();
    // This one is saved after each epoch only.
    let options = format!("{TINY} {PLAN}");
    sandbox.ok(&format!("train --out whole {options}"));
    let whole = sandbox.path("whole");
    assert!(metrics(&whole).iter().any(|line| line["rollback"] == 3));

    let uniform = random::uniform(seed, (stops, 2), DType::F64, &Device::Cpu).unwrap();
    let mut moments = uniform.to_vec2::<f64>().unwrap().into_iter().enumerate();
    let (mut stopped, mut in_write) = (0, 0);
    // A training that comes to its end is compared, and the next one begins.
    for run in 0.. {
        let out = format!("run-{run}");
        let folder = sandbox.path(&out);
        for (i, moment) in moments.by_ref() {
            let begin_or_resume = if folder.join("training.safetensors").exists() {
                "--resume"
            } else {
                &options
            };
            // Every fourth one is saved after epochs only, and writes lines that are not saved.
            let saving = if i % 4 == 3 { "" } else { EACH_STEP };
            let mut train = sandbox.flow(&format!("train --out {out} {begin_or_resume} {saving}"));
            train.stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = train.spawn().unwrap();
            let kind = kinds[i % kinds.len()];
            in_write += usize::from(stop(&mut child, kind, &folder, &moment));
            stopped += 1;
            if step(&folder.join("training.safetensors")) == Some(80) {
                break;
            }
        }
        // Neither limits nor anything else needs to be said again.
        if folder.join("training.safetensors").exists() {
            sandbox.ok(&format!("train --out {out} --resume"));
        } else {
            sandbox.ok(&format!("train --out {out} {options}"));
        }
        assert_same(&whole, &folder);
        if stopped == stops {
            break;
        }
    }
    if kinds.len() > 2 {
        assert!(in_write > 0, "no kill came while a file was written");
    }
}

/// Stops a training at a moment that two numbers in 0..1 choose. Whether it was writing a file.
fn stop(child: &mut Child, kind: Stop, folder: &Path, moment: &[f64]) -> bool {
    let file = folder.join("training.safetensors");
    // Signals go to a program that listens to them, as one that has taken a step does.
    let least = u64::from(matches!(kind, Stop::Interrupt | Stop::Terminate));
    let steps = step(&file).unwrap_or(0) + least.max((moment[0] * 5.0) as u64);
    let mut over = |seen: bool| seen || child.try_wait().unwrap().is_some();
    wait_for("a step", || over(step(&file) >= Some(steps)));
    match kind {
        Stop::KillInWrite => wait_for("a file", || over(!unfinished(folder).is_empty())),
        _ => thread::sleep(Duration::from_micros((moment[1] * 2e4) as u64)),
    }
    match kind {
        // It may have come to its end a moment ago.
        Stop::Interrupt => _ = signal(child.id(), "-INT"),
        Stop::Terminate => _ = signal(child.id(), "-TERM"),
        _ => child.kill().unwrap(),
    }
    let status = child.wait().unwrap();
    let leftovers = unfinished(folder);
    match kind {
        Stop::Interrupt | Stop::Terminate => {
            assert!(status.success());
            assert!(leftovers.is_empty(), "{leftovers:?}");
        }
        Stop::PowerCut if file.exists() => {
            // What was written after the training file was, and what was about to be.
            let whole = fs::read(&file).unwrap();
            let half = &whole[..whole.len() / 2];
            fs::write(folder.join(".training.safetensors.a1B2c3"), half).unwrap();
            fs::write(folder.join("samples/.epoch-0001.png.Zz9Yy8"), "").unwrap();
            let _ = fs::remove_file(folder.join("model.safetensors"));
            let mut log = fs::File::options()
                .append(true)
                .open(folder.join("metrics.jsonl"))
                .unwrap();
            let line = br#"{"step":9,"epoch":1,"train_bits_per_dim":1,"lr":1,"grad_norm":1,"images_per_second":1,"seconds":1}"#;
            log.write_all(&[line, &b"\n"[..], &line[..30]].concat())
                .unwrap();
        }
        _ => {}
    }
    !leftovers.is_empty()
}

/// Files of a run that are not whole yet.
fn unfinished(folder: &Path) -> Vec<PathBuf> {
    files(folder)
        .into_keys()
        .filter(|name| {
            let name = name.file_name().unwrap().to_str().unwrap();
            name.starts_with('.') && name != ".lock"
        })
        .collect()
}

fn assert_same(whole: &Path, other: &Path) {
    let [whole, other] = [whole, other].map(files);
    assert!(whole.keys().eq(other.keys()), "{:?}", other.keys());
    for (name, expected) in &whole {
        let got = &other[name];
        match name.extension().and_then(|extension| extension.to_str()) {
            Some("safetensors") => {
                assert!(
                    tensors(expected) == tensors(got),
                    "tensors of {}",
                    name.display()
                );
                let timeless = |bytes: &[u8]| without_times(header(bytes));
                assert_eq!(timeless(expected), timeless(got));
            }
            Some("jsonl") => {
                let timeless = |bytes: &[u8]| {
                    let lines = serde_json::Deserializer::from_slice(bytes).into_iter();
                    lines
                        .map(|line| without_times(line.unwrap()))
                        .collect::<Vec<_>>()
                };
                assert_eq!(timeless(expected), timeless(got));
            }
            _ => assert!(expected == got, "{} differs", name.display()),
        }
    }
}

fn without_times(mut value: Value) -> Value {
    if let Value::Object(fields) = &mut value {
        fields.remove("seconds");
        fields.remove("images_per_second");
        fields
            .values_mut()
            .for_each(|field| *field = without_times(field.take()));
    }
    value
}

/// Every file below a folder, by its name in it. What vanishes meanwhile is left out.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let folders = [PathBuf::new(), PathBuf::from("samples")];
    let names = folders.into_iter().flat_map(|inner| {
        let entries = fs::read_dir(folder.join(&inner)).into_iter().flatten();
        entries
            .flatten()
            .map(move |entry| inner.join(entry.file_name()))
    });
    names
        .filter_map(|name| Some((name.clone(), fs::read(folder.join(name)).ok()?)))
        .collect()
}
