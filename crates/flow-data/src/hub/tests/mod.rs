//! The way from the hub to the folder, over a real socket, with every fault on it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod damaged;
mod repository;
mod tiny;

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use flow_testing::{
    hub_server::{Fault, HubServer},
    parquet_file::Images,
};
use tempfile::TempDir;

use self::tiny::{TEST, TRAIN};
use super::{client::Client, download, folder};
use crate::{Error, Result, source::Source};

const MNIST: (usize, usize, usize) = (1, 28, 28);
const CIFAR10: (usize, usize, usize) = (3, 32, 32);

/// A hub with a tiny MNIST, and a machine that has nothing of it yet.
struct Setting {
    source: Source,
    server: HubServer,
    machine: TempDir,
}

impl Setting {
    fn new(fault: Fault) -> Self {
        let (train, test) = (tiny::images(6, 784, 1), tiny::images(3, 784, 2));
        let source = tiny::mnist(&train, &test);
        let files = [
            (TRAIN, tiny::parquet(&train, "image", MNIST)),
            (TEST, tiny::parquet(&test, "image", MNIST)),
        ];
        Self::with(source, files, fault)
    }

    fn with(source: Source, files: [(&str, Vec<u8>); 2], fault: Fault) -> Self {
        let (owner, name) = source.repository;
        let files = files.map(|(path, content)| (format!("{owner}/{name}/{path}"), content));
        let server = HubServer::start(HashMap::from(files), fault);
        Self {
            source,
            server,
            machine: tempfile::tempdir().unwrap(),
        }
    }

    fn download(&self, token: &str) -> Result<()> {
        let contents = download(&self.client(token), &self.source, &mut |_| {})?;
        folder::write_all(&contents, &self.folder(), &mut |_| {})
    }

    fn client(&self, token: &str) -> Client {
        let cache = self.machine.path().join("cache");
        let client = Client::new(&self.server.endpoint, Some(token.to_owned()), cache);
        let mut client = client.unwrap();
        client.wait = Duration::from_millis(1);
        client
    }

    fn folder(&self) -> PathBuf {
        self.machine.path().join("data/digits")
    }

    fn is_complete(&self) -> bool {
        complete(&self.source, &self.folder()).is_some()
    }

    /// No file of the data set is there, nor anything unfinished beside where they belong.
    fn left_nothing(&self) -> bool {
        let data = self.machine.path().join("data");
        !data.exists() || fs::read_dir(data).unwrap().next().is_none()
    }
}

fn complete(source: &Source, folder: &Path) -> Option<PathBuf> {
    folder::complete(source, folder, &mut |_| {})
}

fn take(source: &Source, from: &Path, folder: &Path) -> Result<()> {
    let contents = folder::read_all(source, from, &mut |_| {})?;
    folder::write_all(&contents, folder, &mut |_| {})
}

#[test]
fn a_download_is_complete() {
    let setting = Setting::new(Fault::None);
    assert!(!setting.is_complete());
    setting.download("any").unwrap();
    assert!(setting.is_complete());
    assert_eq!(
        names(&setting.folder()),
        [
            "t10k-images.gz",
            "t10k-labels.gz",
            "train-images.gz",
            "train-labels.gz"
        ]
    );
    assert_eq!(names(&setting.machine.path().join("data")), ["digits"]);
}

#[test]
fn colours_become_planes_in_two_batches() {
    let images = tiny::images(4, 3072, 3);
    let parquet = tiny::parquet(&images, "img", CIFAR10);
    let files = [(TRAIN, parquet.clone()), (TEST, parquet)];
    let setting = Setting::with(tiny::cifar10(&images), files, Fault::None);
    setting.download("any").unwrap();
    assert!(setting.is_complete());
    assert_eq!(
        names(&setting.folder()),
        ["test_1.bin", "test_2.bin", "train_1.bin", "train_2.bin"]
    );
}

#[test]
fn a_transfer_that_breaks_off_is_an_error() {
    let setting = Setting::new(Fault::Truncate);
    let err = setting.download("any").unwrap_err();
    assert_eq!(
        err.to_string(),
        "cannot download `tiny/train.parquet` of `owner/digits`: Peer disconnected"
    );
    assert!(setting.left_nothing());
    setting.server.set_fault(Fault::None);
    setting.download("any").unwrap();
    assert!(setting.is_complete());
}

#[test]
fn a_corrupt_transfer_is_thrown_away() {
    let setting = Setting::new(Fault::Corrupt);
    let err = setting.download("any").unwrap_err();
    let text = err.to_string();
    let start = "the download `tiny/train.parquet` was wrong and is deleted: its SHA-256 is ";
    assert!(text.starts_with(start), "{text}");
    assert!(setting.left_nothing());
    setting.server.set_fault(Fault::None);
    setting.download("any").unwrap();
    assert!(setting.is_complete());
}

/// The hub has another file than the one whose digest is known: the transfer is right, the content
/// is not.
#[test]
fn other_content_is_thrown_away() {
    let mut setting = Setting::new(Fault::None);
    setting.source = tiny::mnist(&tiny::images(6, 784, 7), &tiny::images(3, 784, 2));
    let err = setting.download("any").unwrap_err();
    assert!(matches!(err, Error::Wrong { .. }), "{err}");
    let text = err.to_string();
    assert!(
        text.contains("its content is not the published `train-images`"),
        "{text}"
    );
    assert!(setting.left_nothing());
    let blobs = setting
        .machine
        .path()
        .join("cache/datasets--owner--digits/blobs");
    assert_eq!(names(&blobs), [""; 0]);
}

#[test]
fn a_hub_that_stumbles_is_asked_again() {
    let setting = Setting::new(Fault::Fail(2));
    setting.download("any").unwrap();
    assert!(setting.is_complete());
}

/// The token is shown to the hub alone, wherever redirects lead: the storage refuses it.
#[test]
fn a_file_that_moved_is_followed() {
    let setting = Setting::new(Fault::Moved);
    setting.download("secret").unwrap();
    assert!(setting.is_complete());
}

#[test]
fn a_hub_that_is_down_is_an_error() {
    let setting = Setting::new(Fault::Fail(usize::MAX));
    let err = setting.download("any").unwrap_err();
    assert!(matches!(err, Error::Download { .. }), "{err}");
    assert!(
        err.to_string().ends_with(": 503 Service Unavailable"),
        "{err}"
    );
    assert!(setting.left_nothing());
}

#[test]
fn a_restricted_hub_wants_its_token() {
    let setting = Setting::new(Fault::Token("secret"));
    let err = setting.download("wrong").unwrap_err();
    assert!(matches!(err, Error::Denied { .. }), "{err}");
    assert!(err.to_string().ends_with(": 401 Unauthorized"), "{err}");
    assert!(setting.left_nothing());
    setting.download("secret").unwrap();
    assert!(setting.is_complete());
}

#[test]
fn parquet_of_another_form_is_an_error() {
    let good = tiny::images(6, 784, 1);
    let few = Images {
        pixels: good.pixels[..784].to_vec(),
        labels: vec![1],
    };
    let wide = Images {
        pixels: good.pixels.repeat(2),
        labels: good.labels.clone(),
    };
    let colour = Images {
        pixels: good.pixels.repeat(3),
        labels: good.labels.clone(),
    };
    let cases = [
        (b"no parquet at all".to_vec(), "it is not a parquet file"),
        (
            tiny::parquet(&few, "image", MNIST),
            "the number of its images is 1, not 6",
        ),
        (
            tiny::parquet(&good, "img", MNIST),
            "it has no column `image.bytes`",
        ),
        (
            tiny::parquet(&colour, "image", (3, 28, 28)),
            "image 0: 28×28 in color instead of 28×28 grey",
        ),
        (
            tiny::parquet(&wide, "image", (1, 28, 56)),
            "image 0: 28×56 grey instead of 28×28 grey",
        ),
    ];
    for (parquet, reason) in cases {
        let source = tiny::mnist(&good, &good);
        let files = [(TRAIN, parquet.clone()), (TEST, parquet)];
        let setting = Setting::with(source, files, Fault::None);
        let err = setting.download("any").unwrap_err();
        assert!(err.to_string().contains(reason), "{err}");
        assert!(setting.left_nothing());
    }
}

#[test]
fn files_at_hand_are_checked_and_taken() {
    let setting = Setting::new(Fault::None);
    setting.download("any").unwrap();
    let (at_hand, other) = (
        setting.folder(),
        setting.machine.path().join("other/digits"),
    );
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("notes.txt"), "mine").unwrap();
    take(&setting.source, &at_hand, &other).unwrap();
    assert_eq!(complete(&setting.source, &other), Some(other.clone()));
    assert_eq!(fs::read_to_string(other.join("notes.txt")).unwrap(), "mine");

    fs::write(at_hand.join("t10k-labels.gz"), "another").unwrap();
    let err = take(
        &setting.source,
        &at_hand,
        &setting.machine.path().join("third/digits"),
    )
    .unwrap_err();
    assert!(
        err.to_string()
            .contains("is not the published `t10k-labels`"),
        "{err}"
    );
    assert!(!setting.is_complete());
    assert!(!setting.machine.path().join("third").exists());
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    let setting = Setting::new(Fault::None);
    setting.download("any").unwrap();
    let file = setting.machine.path().join("file");
    fs::write(&file, "mine").unwrap();
    for folder in [file.join("digits"), file.join("data/digits")] {
        let err = take(&setting.source, &setting.folder(), &folder).unwrap_err();
        assert!(err.to_string().starts_with("cannot write to `"), "{err}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    }
}

/// The names in a folder, in order.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
