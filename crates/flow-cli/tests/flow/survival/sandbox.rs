//! A folder with a small data set in which the binary trains.

use candle_core::Tensor;
use flow_data::{Dataset, Split, idx};
use serde_json::Value;
use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The smallest model, and 24 batches an epoch.
pub(crate) const TINY: &[&str] = &[
    "--levels",
    "1",
    "--steps",
    "1",
    "--width",
    "8",
    "--dequantization",
    "uniform",
    "--batch-size",
    "16",
];

/// Saves the training after every step.
pub(crate) const EACH_STEP: &[&str] = &["--save-interval", "1ns"];

/// Some of the bundled digits, as a data set of their own.
const SPLITS: [(Split, &str, usize); 2] = [(Split::Train, "train", 384), (Split::Test, "t10k", 20)];

/// No step takes that long, however loaded the machine is.
const PATIENCE: Duration = Duration::from_mins(2);

pub(crate) struct Sandbox(TempDir);

impl Sandbox {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data/mnist");
        fs::create_dir_all(&data).unwrap();
        for (split, name, count) in SPLITS {
            let digits = Dataset::bundled(split).unwrap();
            let digits = digits.batch(&(0..count).collect::<Vec<_>>()).unwrap();
            let bytes = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<u8>().unwrap();
            let labels = digits.labels.to_dtype(candle_core::DType::U8).unwrap();
            let write = |kind: &str, content: Vec<u8>| {
                fs::write(data.join(format!("{name}-{kind}-ubyte")), content).unwrap();
            };
            write("images-idx3", idx::encode_images(&bytes(&digits.images)));
            write("labels-idx1", idx::encode_labels(&bytes(&labels)));
        }
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.0.path())
            .env_remove("RUST_LOG")
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null());
        command
    }

    /// `flow train --out OUT` with more options.
    pub(crate) fn train(&self, out: &str, more: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_flow"));
        command.args(["train", "--out", out]).args(more);
        command
    }

    /// Begins a training in the background, and waits until it has taken a step.
    pub(crate) fn begin(&self, out: &str, more: &[&str]) -> Child {
        let mut command = self.train(out, more);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let file = self.path(out).join("training.safetensors");
        wait_for("a step", || {
            assert!(child.try_wait().unwrap().is_none(), "it ended too early");
            step(&file) > Some(0)
        });
        child
    }

    /// Another command of the binary, which must succeed; its stdout.
    pub(crate) fn flow(&self, args: &[&str]) -> String {
        let mut command = self.command(env!("CARGO_BIN_EXE_flow"));
        succeeded(&command.args(args).output().unwrap())
    }

    /// Bits per dimension of the test images in the folder `data` under the model of a checkpoint.
    pub(crate) fn bits_per_dim(&self, checkpoint: &str, data: &str) -> f64 {
        let args = [
            "eval",
            "--json",
            "--checkpoint",
            checkpoint,
            "--data-dir",
            data,
        ];
        let evaluation: Value = serde_json::from_str(&self.flow(&args)).unwrap();
        evaluation["bits_per_dim"].as_f64().unwrap()
    }

    /// Fails unless what lies at `checkpoint` is whole and its model gives finite likelihoods.
    pub(crate) fn assert_usable(&self, checkpoint: &str) {
        assert!(self.bits_per_dim(checkpoint, "data").is_finite());
    }
}

/// stdout of a command that must succeed.
pub(crate) fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The one error line of a command that must fail with status 1.
pub(crate) fn failed(output: &Output) -> String {
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let errors: Vec<_> = stderr
        .lines()
        .filter(|line| line.starts_with("error: "))
        .collect();
    assert_eq!(errors.len(), 1, "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    errors[0].to_owned()
}

/// Steps that the training in this file has taken; none if there is no file.
pub(crate) fn step(file: &Path) -> Option<u64> {
    let bytes = fs::read(file).ok()?;
    header(&bytes)["training"]["progress"]["step"].as_u64()
}

/// The header of a checkpoint.
pub(crate) fn header(bytes: &[u8]) -> Value {
    let metadata: Value = serde_json::from_slice(&bytes[8..8 + header_length(bytes)]).unwrap();
    serde_json::from_str(metadata["__metadata__"]["flow"].as_str().unwrap()).unwrap()
}

/// The checkpoint with another header.
pub(crate) fn with_header(bytes: &[u8], header: &Value) -> Vec<u8> {
    let content = 8 + header_length(bytes);
    let mut metadata: Value = serde_json::from_slice(&bytes[8..content]).unwrap();
    metadata["__metadata__"]["flow"] = header.to_string().into();
    let metadata = metadata.to_string();
    let length = (metadata.len() as u64).to_le_bytes();
    [&length[..], metadata.as_bytes(), &bytes[content..]].concat()
}

/// The checkpoint with this number in all places of a tensor.
pub(crate) fn with_tensor(bytes: &[u8], name: &str, number: f32) -> Vec<u8> {
    let content = 8 + header_length(bytes);
    let metadata: Value = serde_json::from_slice(&bytes[8..content]).unwrap();
    let [start, end] = [0, 1].map(|i| {
        let offset = metadata[name]["data_offsets"][i].as_u64().unwrap();
        content + offset as usize
    });
    let mut changed = bytes.to_vec();
    for place in changed[start..end].chunks_exact_mut(4) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    changed
}

pub(crate) fn header_length(bytes: &[u8]) -> usize {
    u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize
}

/// The lines of `metrics.jsonl`.
pub(crate) fn metrics(folder: &Path) -> Vec<Value> {
    fs::read_to_string(folder.join("metrics.jsonl"))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Looks again and again.
pub(crate) fn wait_for(what: &str, mut happened: impl FnMut() -> bool) {
    let started = Instant::now();
    while !happened() {
        assert!(started.elapsed() < PATIENCE, "no sign of {what}");
        thread::sleep(Duration::from_micros(200));
    }
}
