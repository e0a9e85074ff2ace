//! State dicts of other programs: PyTorch's archives, its older format, and safetensors.

#![no_main]

#[path = "../../xtask/src/convert_checkpoint/state_dict/mod.rs"]
mod state_dict;

use std::{fs, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

/// What the reader takes beside a multiple of the file's size.
const READING: usize = 1 << 20;

static FOLDER: LazyLock<TempDir> =
    LazyLock::new(|| tempfile::tempdir().expect("a folder for a file"));

fuzz_target!(|data: &[u8]| {
    let path = FOLDER.path().join("file");
    fs::write(&path, data).expect("the file can be written");
    flow_fuzz::within(4 * data.len() + READING, || {
        drop(state_dict::read(&path, None))
    });
});
