//! A folder with a small trained model, and a way to spoil it.

use serde_json::Value;
use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};
use tempfile::TempDir;

pub(crate) const MODEL: &str = "run/model.safetensors";

pub(crate) struct Sandbox(TempDir);

impl Sandbox {
    /// Trains a tiny model on the bundled digits into `run`.
    pub(crate) fn trained(more: &[&str]) -> Self {
        let sandbox = Self(tempfile::tempdir().unwrap());
        let train = "train --out run --max-steps 20 --levels 1 --steps 2 --width 8 --batch-size 32";
        let args: Vec<&str> = train.split(' ').chain(more.iter().copied()).collect();
        let output = sandbox.run(&args);
        assert!(output.status.success(), "{output:?}");
        sandbox
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_flow"))
            .args(args)
            .current_dir(self.0.path())
            .env("RUST_BACKTRACE", "0")
            .env_remove("RUST_LOG")
            .output()
            .unwrap()
    }

    /// What a command prints as JSON, and its one error line if it must fail with status 1.
    pub(crate) fn json(&self, args: &[&str]) -> (Value, Option<String>) {
        let output = self.run(args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        let error = stderr.lines().find(|line| line.starts_with("error: "));
        let status = i32::from(error.is_some());
        assert_eq!(output.status.code(), Some(status), "{args:?}: {stderr}");
        let value = serde_json::from_slice(&output.stdout).unwrap();
        (value, error.map(str::to_owned))
    }

    /// Writes the model to `name` with another `tensor`.
    pub(crate) fn spoil(&self, name: &str, tensor: &str, change: impl Fn(&mut [f32])) {
        let mut bytes = fs::read(self.path(MODEL)).unwrap();
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let entries: Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
        let offset = |i: usize| {
            let offset = entries[tensor]["data_offsets"][i].as_u64().unwrap();
            8 + header + offset as usize
        };
        let place = &mut bytes[offset(0)..offset(1)];
        let mut values: Vec<f32> = place
            .chunks(4)
            .map(|number| f32::from_le_bytes(number.try_into().unwrap()))
            .collect();
        change(&mut values);
        for (number, value) in place.chunks_mut(4).zip(values) {
            number.copy_from_slice(&value.to_le_bytes());
        }
        fs::write(self.path(name), bytes).unwrap();
    }
}
