//! State dicts of other programs: PyTorch's archives, its older format, and safetensors.

#![no_main]

#[path = "../../xtask/src/convert_checkpoint/state_dict/mod.rs"]
mod state_dict;

use std::{collections::BTreeMap, fs, path::Path, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use state_dict::{Contents, tree};
use tempfile::TempDir;

/// Memory that the reader takes beside a multiple of the file's size: a byte of a small pickle may
/// be a value of its own.
const READING: usize = 2 << 20;

static FOLDER: LazyLock<TempDir> =
    LazyLock::new(|| tempfile::tempdir().expect("a folder for a file"));

fuzz_target!(|data: &[u8]| {
    let path = FOLDER.path().join("file");
    fs::write(&path, data).expect("the file can be written");
    flow_fuzz::within(4 * data.len() + READING, || drop(read(&path)));
});

/// Reads every tensor that has a name.
fn read(path: &Path) -> anyhow::Result<()> {
    let mut contents = Contents::read(path)?;
    let mut file = contents.parse()?;
    for node in 0..file.nodes.len() {
        let named = file.nodes[node].entries.iter().filter_map(|entry| entry.tensor());
        let named: BTreeMap<_, _> = named.map(|(name, id)| (name.to_owned(), id)).collect();
        let ids = || named.values().copied();
        for (a, b) in ids().zip(ids().skip(1)) {
            file.is_same(a, b);
            file.is_counter(a);
        }
        tree::path(&file.nodes, node);
        drop(file.load(&named));
    }
    file.class();
    Ok(())
}
