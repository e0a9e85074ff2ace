//! Collections of one file.

use std::{fs, path::PathBuf, sync::LazyLock};

use flow_data::collection::Sources;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

/// Lists and reads all pictures of a file of this name, in at most `limit` bytes of memory. Returns
/// where the file is.
pub fn read(name: &str, content: &[u8], limit: usize) -> PathBuf {
    let path = FOLDER.path().join(name);
    fs::write(&path, content).unwrap();
    flow_testing::damage::within(limit, || {
        let opened = Sources::find(&path).and_then(|sources| sources.open());
        let collection = match opened {
            Ok(collection) => collection,
            Err(error) => return flow_testing::damage::check_text(&error, name),
        };
        let pictures = collection.pictures().unwrap();
        assert_eq!(pictures.count(), collection.entries.len());
    });
    path
}
