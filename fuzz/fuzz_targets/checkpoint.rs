//! Checkpoints, through the functions that `flow` calls: a model is built, and a training resumed.

#![no_main]

use std::{fs, path::PathBuf, sync::LazyLock};

use candle_core::{DType, Device, Tensor};
use flow_glow::{Checkpoint, Trainer};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use tempfile::TempDir;

mod safetensors;

/// What a model takes beside its file.
const MODEL: usize = 2 << 20;

/// Models of larger images are not asked for one: it would take too long.
const DIMENSIONS: usize = 4096;

static FOLDER: LazyLock<TempDir> =
    LazyLock::new(|| tempfile::tempdir().expect("a folder for a file"));

fuzz_target!(|data: &[u8]| {
    let path: PathBuf = FOLDER.path().join("file");
    fs::write(&path, data).expect("the file can be written");
    let loaded = flow_testing::damage::within(4 * data.len() + MODEL, || {
        Checkpoint::load(&path, &Device::Cpu)
    });
    flow_testing::damage::within(4 * data.len() + MODEL, || {
        drop(Trainer::resume(&path, &Device::Cpu))
    });
    let Ok(checkpoint) = loaded else { return };
    let config = checkpoint.model.config();
    if config.image.dimensions() <= DIMENSIONS {
        let labels = config
            .classes
            .map(|_| Tensor::zeros(1, DType::U32, &Device::Cpu));
        let labels = labels.transpose().expect("zeros are a tensor");
        let _ = checkpoint.model.sample_images(1, labels.as_ref(), 0.7, 0);
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    safetensors::mutate(data, size, max_size, seed)
});
