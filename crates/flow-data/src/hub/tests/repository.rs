//! Data sets of anybody: several files, configurations, columns, and faults of the hub.

use std::{fs, path::Path, time::Duration};

use flow_testing::hub_server::{Fault, HubServer};
use tempfile::TempDir;

use super::names;
use crate::{
    HubName, Result,
    collection::{Class, Part, Sources},
    hub::{
        Fetched,
        client::Client,
        repository::{ColumnNames, fetch_from},
    },
};

/// Files of the tests of collections: `image` and the classes cat and dog, `image` and numbers,
/// two columns of images and two of classes, and the column `img` with texts.
const PETS: &[u8] = include_bytes!("../../../tests/data/parquet/train-snappy.parquet");
const NUMBERS: &[u8] = include_bytes!("../../../tests/data/parquet/zstd-dictionary.parquet");
const SEVERAL: &[u8] = include_bytes!("../../../tests/data/parquet/gzip.parquet");

struct Setting {
    server: HubServer,
    machine: TempDir,
}

impl Setting {
    /// A hub with these files of `owner/pets`, and of its converted branch where a path begins
    /// with `@converted/`.
    fn new(files: &[(&str, &[u8])], fault: Fault) -> Self {
        let path = |file: &str| {
            if file.starts_with('@') {
                format!("owner/pets{file}")
            } else {
                format!("owner/pets/{file}")
            }
        };
        let files = files
            .iter()
            .map(|(file, content)| (path(file), content.to_vec()));
        Self {
            server: HubServer::start(files.collect(), fault),
            machine: tempfile::tempdir().unwrap(),
        }
    }

    fn fetch(&self, name: &str, columns: &ColumnNames) -> Result<Fetched> {
        let cache = self.machine.path().join("cache");
        let token = Some("secret".to_owned());
        let mut client = Client::new(&self.server.endpoint, token, cache)?;
        client.wait = Duration::from_millis(1);
        let name = name.parse::<HubName>()?;
        fetch_from(&client, &name, columns, &self.data(), &mut |_| {})
    }

    fn error(&self, name: &str, columns: &ColumnNames) -> String {
        let error = self.fetch(name, columns).unwrap_err().to_string();
        let owner = self.data().join("hub/owner");
        assert!(!owner.exists() || names(&owner) == [""; 0], "{error}");
        error
    }

    fn data(&self) -> std::path::PathBuf {
        self.machine.path().join("data")
    }
}

fn any() -> ColumnNames {
    ColumnNames::default()
}

fn columns(image: &str, label: &str) -> ColumnNames {
    ColumnNames {
        image: Some(image.to_owned()),
        label: Some(label.to_owned()),
    }
}

fn classes(folder: &Path) -> Vec<Option<Class>> {
    let collection = Sources::find(folder).unwrap().open().unwrap();
    collection
        .entries
        .into_iter()
        .map(|entry| entry.class)
        .collect()
}

#[test]
fn files_are_fetched_once() {
    let setting = Setting::new(
        &[
            ("README.md", b"pets"),
            ("data/train-00000-of-00002.parquet", PETS),
            ("data/train-00001-of-00002.parquet", PETS),
            ("data/test-00000-of-00001.parquet", NUMBERS),
        ],
        Fault::None,
    );
    let folder = setting.data().join("hub/owner/pets");
    let written = setting.fetch("owner/pets", &any()).unwrap();
    assert_eq!(written, Fetched::Written(folder.clone()));
    let files = [
        "collection.json",
        "test-00000-of-00001.parquet",
        "train-00000-of-00002.parquet",
        "train-00001-of-00002.parquet",
    ];
    assert_eq!(names(&folder), files);
    assert_eq!(names(&setting.data().join("hub/owner")), ["pets"]);
    let collection = Sources::find(&folder).unwrap().open().unwrap();
    assert_eq!(collection.entries.len(), 21);
    assert_eq!(collection.entries[0].part, Some(Part::Test));
    assert_eq!(collection.entries[20].part, Some(Part::Train));

    setting.server.set_fault(Fault::Fail(usize::MAX));
    let complete = Fetched::Complete(folder.clone());
    assert_eq!(setting.fetch("owner/pets", &any()).unwrap(), complete);
    // What is lost is fetched again.
    setting.server.set_fault(Fault::None);
    fs::remove_file(folder.join(files[2])).unwrap();
    let written = setting.fetch("owner/pets", &any()).unwrap();
    assert_eq!(written, Fetched::Written(folder.clone()));
    assert_eq!(names(&folder), files);
}

#[test]
fn one_of_several_configurations_is_named() {
    let files = [
        ("big/train-00000-of-00001.parquet", PETS),
        ("small/train-00000-of-00001.parquet", NUMBERS),
        ("small/test images.parquet", NUMBERS),
    ];
    let setting = Setting::new(&files, Fault::None);
    assert_eq!(
        setting.error("owner/pets", &any()),
        "`hub:owner/pets` has several configurations: `big`, `small`; name one with \
         `--config`"
    );
    assert_eq!(
        setting.error("owner/pets/huge", &any()),
        "`hub:owner/pets` has no configuration `huge`; it has `big`, `small`"
    );
    setting.fetch("owner/pets/small", &any()).unwrap();
    let folder = setting.data().join("hub/owner/pets@small");
    let files = [
        "collection.json",
        "test images.parquet",
        "train-00000-of-00001.parquet",
    ];
    assert_eq!(names(&folder), files);
}

#[test]
fn columns_are_chosen_and_changed() {
    let setting = Setting::new(&[("train.parquet", SEVERAL)], Fault::None);
    assert_eq!(
        setting.error("owner/pets", &any()),
        "`hub:owner/pets` cannot be used: `train.parquet` has several columns of images: `photo`, \
         `thumb`; name one with `flow fetch --image-column`, or as `image_column` in \
         `collection.json` beside it"
    );
    let error = setting.error("owner/pets", &columns("photo", "sort"));
    assert!(
        error.contains("`train.parquet` has no column `sort` of classes"),
        "{error}"
    );
    let folder = setting.data().join("hub/owner/pets");
    let number = |class| Some(Class::Number(class));
    setting
        .fetch("owner/pets", &columns("photo", "coarse"))
        .unwrap();
    assert_eq!(classes(&folder), [0, 0, 0, 1, 1, 1, 1].map(number));
    let coarse = Sources::find(&folder).unwrap().fingerprint().unwrap();
    setting
        .fetch("owner/pets", &columns("photo", "fine"))
        .unwrap();
    assert_eq!(classes(&folder), [1, 0, 1, 0, 1, 0, 1].map(number));
    assert_ne!(
        Sources::find(&folder).unwrap().fingerprint().unwrap(),
        coarse
    );
    // Those that were chosen stay.
    let complete = setting.fetch("owner/pets", &any()).unwrap();
    assert_eq!(complete, Fetched::Complete(folder));
}

#[test]
fn other_files_are_had_as_the_hub_converts_them() {
    let files = [
        ("images/a.png", &b"png"[..]),
        ("@converted/default/partial-train/0000.parquet", PETS),
        ("@converted/default/test/0000.parquet", PETS),
    ];
    let setting = Setting::new(&files, Fault::None);
    setting.fetch("owner/pets", &any()).unwrap();
    let folder = setting.data().join("hub/owner/pets");
    assert_eq!(names(&folder), ["collection.json", "partial-train", "test"]);
    let collection = Sources::find(&folder).unwrap().open().unwrap();
    assert_eq!(collection.entries[0].part, Some(Part::Train));
    assert_eq!(collection.entries[7].part, Some(Part::Test));

    let setting = Setting::new(&files[..1], Fault::None);
    assert_eq!(
        setting.error("owner/pets", &any()),
        "`hub:owner/pets` has no parquet files, and the hub has made none of its files"
    );
    assert_eq!(
        setting.error("owner/dogs", &any()),
        "`hub:owner/dogs` is not on the hub"
    );
}

#[test]
fn faults_leave_nothing() {
    let files = [("train.parquet", PETS), ("test.parquet", PETS)];
    let setting = Setting::new(&files, Fault::Fail(usize::MAX));
    for (fault, start) in [
        (
            Fault::Fail(usize::MAX),
            "cannot download the list of files of `owner/pets`: 503 Service Unavailable",
        ),
        (
            Fault::Token("other"),
            "cannot download the list of files of `owner/pets`: 401 Unauthorized",
        ),
        (
            Fault::Truncate,
            "cannot download `test.parquet` of `owner/pets`: Peer disconnected",
        ),
        (
            Fault::Corrupt,
            "the download `test.parquet` was wrong and is deleted: its SHA-256 is ",
        ),
    ] {
        setting.server.set_fault(fault);
        let error = setting.error("owner/pets", &any());
        assert!(error.starts_with(start), "{error}");
    }
    for fault in [Fault::Fail(2), Fault::Token("secret"), Fault::Moved] {
        let setting = Setting::new(&files, fault);
        setting.fetch("owner/pets", &any()).unwrap();
    }
}

#[test]
fn files_that_hold_no_images_are_an_error() {
    let setting = Setting::new(&[("train.parquet", b"text")], Fault::None);
    assert_eq!(
        setting.error("owner/pets", &any()),
        "`hub:owner/pets` cannot be used: `train.parquet` cannot be read: it is not a parquet file"
    );
}

/// A folder of the user's own is not replaced.
#[test]
fn a_folder_of_the_same_name_stays() {
    let setting = Setting::new(&[("train.parquet", PETS)], Fault::None);
    let folder = setting.data().join("hub/owner/pets");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("notes.txt"), "mine").unwrap();
    let error = setting.fetch("owner/pets", &any()).unwrap_err().to_string();
    let end = "pets` is in the way: it was not fetched from the hub; move it";
    assert!(error.ends_with(end), "{error}");
    assert_eq!(names(&folder), ["notes.txt"]);
}
