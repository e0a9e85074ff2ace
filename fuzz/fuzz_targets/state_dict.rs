//! State dicts of other programs: PyTorch's archives, its older format, and safetensors.

#![no_main]

use std::{fs, path::Path, sync::LazyLock};

use flow_convert::state_dict::Contents;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

/// Memory that the reader takes beside a multiple of the file's size: a byte of a small pickle may
/// be a value of its own.
const READING: usize = 2 << 20;

static FOLDER: LazyLock<TempDir> =
    LazyLock::new(|| tempfile::tempdir().expect("a folder for a file"));

fuzz_target!(|data: &[u8]| {
    let path = FOLDER.path().join("file");
    fs::write(&path, data).expect("the file can be written");
    flow_testing::damage::within(4 * data.len() + READING, || drop(read(&path)));
});

/// Reads every tensor that has a name.
fn read(path: &Path) -> flow_convert::Result<()> {
    let mut contents = Contents::read(path)?;
    let mut file = contents.parse()?;
    for container in 0..file.containers() {
        let named = file.named(container);
        let ids = || named.values().copied();
        for (a, b) in ids().zip(ids().skip(1)) {
            file.is_same(a, b);
            file.is_counter(a);
        }
        file.place(container);
        drop(file.load(&named));
    }
    file.class();
    Ok(())
}
