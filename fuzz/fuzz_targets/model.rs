//! Files of models of vectors: a model is built, scores and draws.

#![no_main]

use std::{fs, path::PathBuf, sync::LazyLock};

use candle_core::{Device, Tensor};
use flow_core::Model;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use tempfile::TempDir;

mod safetensors;

/// Memory of a model beside its file.
const MODEL: usize = 2 << 20;

static FOLDER: LazyLock<TempDir> =
    LazyLock::new(|| tempfile::tempdir().expect("a folder for a file"));

fuzz_target!(|data: &[u8]| {
    let path: PathBuf = FOLDER.path().join("file");
    fs::write(&path, data).expect("the file can be written");
    let limit = 8 * data.len() + MODEL;
    let loaded = flow_testing::damage::within(limit, || Model::load(&path, &Device::Cpu));
    let model = match loaded {
        Ok(model) => model,
        Err(error) => return flow_testing::damage::check_text(&error, "file"),
    };
    let _ = match model.architecture().context_size() {
        0 => model.sample(2, 0),
        size => {
            let context = Tensor::zeros((1, size), model.dtype(), &Device::Cpu);
            context.and_then(|context| model.sample_each(2, &context, 0))
        }
    };
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    safetensors::mutate(data, size, max_size, seed)
});
