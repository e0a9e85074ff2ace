//! Checkpoints, through the functions that `flow` calls: a model is built, and a training resumed.

#![no_main]

use std::{fs, path::PathBuf, sync::LazyLock};

use candle_core::{DType, Device, Tensor};
use flow_glow::{Checkpoint, Trainer};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use tempfile::TempDir;

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

// Most changes to the length of the header make everything behind it worthless, so half of the
// changes are to the header alone, and its length is made right.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let Some((length, rest)) = data[..size].split_first_chunk::<8>() else {
        return fuzzer_mutate(data, size, max_size);
    };
    let header = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if seed % 2 == 0 || header > rest.len() {
        return fuzzer_mutate(data, size, max_size);
    }
    let numbers = rest[header..].to_vec();
    let most = max_size - 8 - numbers.len();
    let header = fuzzer_mutate(&mut data[8..], header, most);
    data[..8].copy_from_slice(&(header as u64).to_le_bytes());
    data[8 + header..][..numbers.len()].copy_from_slice(&numbers);
    8 + header + numbers.len()
});
