//! Several processes get what one gets.

use std::{collections::HashMap, fs, path::Path};

use candle_core::{DType, Device, Tensor};
use flow_core::check;
use serde_json::Value;

use crate::sandbox::{Report, Sandbox, metrics};

/// Two levels, and batches that two ranks share as one process cuts them into runs.
const MODEL: &str = "--levels 2 --steps 2 --width 16 --batch-size 64";

/// Weights and lines of metrics, without times, of a training by so many ranks, or by one process
/// for none.
fn trained(
    sandbox: &Sandbox,
    out: &str,
    ranks: usize,
    options: &str,
) -> (HashMap<String, Tensor>, Vec<Value>) {
    sandbox.ranks(ranks, &format!("train --out {out} {options}"));
    weights_and_metrics(&sandbox.path(out))
}

fn weights_and_metrics(folder: &Path) -> (HashMap<String, Tensor>, Vec<Value>) {
    let weights = candle_core::safetensors::load(folder.join("training.safetensors"), &Device::Cpu);
    let timeless = |mut line: Value| {
        let fields = line.as_object_mut().unwrap();
        fields.remove("seconds");
        fields.remove("images_per_second");
        line
    };
    let metrics = metrics(folder).into_iter().map(timeless).collect();
    (weights.unwrap(), metrics)
}

/// The largest difference between two sets of weights, relative to 1 + the largest weight.
fn distance(a: &HashMap<String, Tensor>, b: &HashMap<String, Tensor>) -> f64 {
    assert_eq!(a.len(), b.len());
    let distances = a.iter().map(|(name, a)| {
        let [a, b] = [a, &b[name]].map(|tensor| tensor.to_dtype(DType::F64).unwrap());
        check::distance(&a, &b).unwrap()
    });
    distances.fold(0.0, f64::max)
}

/// With runs shared out whole, every sum has the same terms in the same order.
#[test]
fn two_ranks_train_as_one_process_does() {
    let sandbox = Sandbox::new();
    for memory in ["plain", "constant"] {
        let options = format!("{MODEL} --max-steps 100 --memory {memory} --threads 1");
        let (weights, metrics) = trained(&sandbox, &format!("one-{memory}"), 0, &options);
        let options = format!("{MODEL} --max-steps 100 --memory {memory}");
        let (others, other_metrics) = trained(&sandbox, &format!("two-{memory}"), 2, &options);
        assert_eq!(metrics.len(), 5);
        assert_eq!(metrics, other_metrics, "{memory}");
        assert!(distance(&weights, &others) == 0.0, "{memory}");
    }
}

/// The first rank prepares the pictures, the other finds them.
#[test]
fn ranks_share_the_pictures_that_one_prepares() {
    let sandbox = Sandbox::new();
    sandbox.write_pictures("pets", 30);
    let options = format!("{MODEL} --size 8 --dataset pets --max-steps 5");
    let (weights, metrics) = trained(&sandbox, "one", 0, &format!("{options} --threads 1"));
    fs::remove_dir_all(sandbox.path("data/cache")).unwrap();
    let (others, other_metrics) = trained(&sandbox, "two", 2, &options);
    assert_eq!(metrics, other_metrics);
    assert!(distance(&weights, &others) == 0.0);
    let files = fs::read_dir(sandbox.path("data/cache")).unwrap();
    // A file for each split, and the lock.
    assert_eq!(files.count(), 3);
}

/// Three ranks cut 64 images into 21, 21 and 22, and add them up in another order.
#[test]
fn any_number_of_ranks_agrees_to_rounding() {
    let sandbox = Sandbox::new();
    let options = format!("{MODEL} --max-steps 10 --mutate 0.1 --classes");
    let (weights, metrics) = trained(&sandbox, "one", 0, &options);
    let (others, other_metrics) = trained(&sandbox, "three", 3, &options);
    let found = distance(&weights, &others);
    assert!(found < 1e-4, "{found}");
    let loss = |metrics: &[Value]| metrics[0]["train_bits_per_dim"].as_f64().unwrap();
    let (one, three) = (loss(&metrics), loss(&other_metrics));
    assert!((one - three).abs() < 1e-5, "{one}, {three}");
}

#[test]
fn a_training_is_resumed_by_another_number_of_ranks() {
    let sandbox = Sandbox::new();
    for (out, parts) in [("one", [0, 0, 0]), ("others", [2, 0, 2])] {
        let train = format!("train --out {out} {MODEL} --max-steps 10");
        sandbox.ranks(parts[0], &train);
        for (ranks, steps) in parts.into_iter().zip([10, 20, 30]).skip(1) {
            let resume = format!("train --out {out} --resume --max-steps {steps}");
            sandbox.ranks(ranks, &resume);
        }
    }
    let [one, others] = ["one", "others"].map(|out| weights_and_metrics(&sandbox.path(out)));
    assert!(distance(&one.0, &others.0) == 0.0);
    assert_eq!(one.1, others.1);
}

/// At this learning rate, training goes back to its last good state again and again.
#[test]
fn steps_are_refused_by_all_ranks_alike() {
    let sandbox = Sandbox::new();
    let options =
        "--levels 1 --steps 1 --width 8 --batch-size 16 --max-steps 80 --lr 3 --warmup-steps 10";
    let (weights, metrics) = trained(&sandbox, "one", 0, options);
    let (others, other_metrics) = trained(&sandbox, "two", 2, options);
    assert!(metrics.iter().any(|line| line["rollback"] == 3));
    assert_eq!(metrics, other_metrics);
    assert!(distance(&weights, &others) == 0.0);
}

#[test]
fn measurements_are_shared_out_without_a_difference() {
    let sandbox = Sandbox::new();
    sandbox.ok(&format!("train --out run {MODEL} --max-steps 10"));
    let model = "--checkpoint run/model.safetensors";
    for command in [
        format!("eval {model} --limit 350 --importance-samples 2 --json"),
        // One batch, and nothing for the others to do.
        format!("eval {model} --limit 50 --json"),
        format!("outliers {model} --rank 5 --limit 350 --json"),
    ] {
        let one = sandbox.ok(&command);
        assert!(one.len() > 100, "{one}");
        assert_eq!(one, sandbox.ranks(3, &command));
    }
}

#[test]
fn two_ranks_begin_with_the_same_model_as_one_process_does() {
    let sandbox = Sandbox::new();
    sandbox.ok(&format!("train --out source {MODEL} --max-steps 10"));
    let options = "--from source/model.safetensors --classes --max-steps 10";
    let (weights, metrics) = trained(&sandbox, "one", 0, &format!("{options} --threads 1"));
    let (others, other_metrics) = trained(&sandbox, "two", 2, options);
    assert_eq!(metrics, other_metrics);
    assert!(distance(&weights, &others) == 0.0);
}

/// The second rank has one other pixel, where it begins and where it goes on.
#[test]
fn ranks_with_other_images_than_the_first_are_refused() {
    let sandbox = Sandbox::new();
    for (rank, change) in [(0, 0), (1, 1)] {
        sandbox.write_digits(&format!("data-{rank}"), 100, 100);
        for split in ["train", "t10k"] {
            let name = format!("data-{rank}/mnist/{split}-images-idx3-ubyte");
            let mut images = sandbox.read(&name);
            images[16 + 54_321] ^= change;
            sandbox.write(&name, images);
        }
    }
    let flow = env!("CARGO_BIN_EXE_flow");
    let script = format!("exec '{flow}' \"$@\" --data-dir data-$OMPI_COMM_WORLD_RANK");
    let fails = |options: &str, expected: &str| {
        let mut command = sandbox.launch(2, &["sh", "-c", &script, "flow"], options);
        let error = Report::of(&mut command).failed();
        assert!(error.contains(expected), "{error}");
    };
    let model = MODEL.replace("64", "16");
    fails(
        &format!("train --out run {model} --max-steps 2"),
        "rank 1 has other images of `mnist` than rank 0",
    );
    sandbox.ok(&format!(
        "train --out whole {model} --max-steps 2 --data-dir data-0"
    ));
    fails(
        "train --out whole --resume --max-steps 3",
        "begun with other training images of `mnist`",
    );
}

/// An error of all processes is reported once, and so is an error of one process.
#[test]
fn a_failure_is_told_once() {
    let sandbox = Sandbox::new();
    for (args, expected) in [
        ("eval --checkpoint none", "cannot read `none`"),
        (
            "train --out run --batch-size 2",
            "a batch of 2 images is too small for 3 processes",
        ),
        ("train --out run --resume", "there is no training to resume"),
    ] {
        let error = Report::of(&mut sandbox.together(3, args)).failed();
        assert!(error.contains(expected), "{error}");
    }
}
