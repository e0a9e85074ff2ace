//! Fetching, with everything that can be wrong with what is typed, with files and with the hub.

use std::{collections::HashMap, fs, process::Command};

use flow_testing::hub_server::{Fault, HubServer};

use super::fails;
use crate::sandbox::Sandbox;

/// Arguments, the status they end with, and a part of the error.
const ROWS: [(&str, i32, &str); 23] = [
    ("", 2, "required arguments were not provided"),
    ("imagenet", 2, "invalid value 'imagenet' for '<NAME>'"),
    ("hub:owner", 2, "unknown data set of the hub `owner`"),
    ("hub:a/../b", 2, "unknown data set of the hub `a/../b`"),
    (
        "mnist --config big",
        2,
        "`--config` is for data sets `hub:OWNER/NAME`",
    ),
    (
        "mnist --label-column label",
        2,
        "`--label-column` is for data sets `hub:OWNER/NAME`",
    ),
    (
        "hub:owner/pets --from other",
        2,
        "`--from` is for published data sets, not for those of the hub",
    ),
    (
        "hub:owner/pets/small --config big",
        2,
        "`small` and `--config big` are two configurations",
    ),
    (
        "hub:owner/pets --config a/b",
        2,
        "unknown data set of the hub `owner/pets/a/b`",
    ),
    ("mnist cifar10", 2, "unexpected argument 'cifar10'"),
    ("mnist --from", 2, "a value is required for '--from <DIR>'"),
    ("mnist --to data", 2, "unexpected argument '--to'"),
    (
        "mnist --from nowhere",
        1,
        "`nowhere` does not hold mnist: looked for `train-images-idx3-ubyte.gz`, ",
    ),
    ("mnist --from file", 1, "`file` does not hold mnist"),
    ("mnist --from empty", 1, "`empty` does not hold mnist"),
    ("mnist --from folders", 1, "`folders` does not hold mnist"),
    (
        "mnist --from part",
        1,
        "`part/MNIST/raw` holds a part of mnist, but not `train-labels-idx1-ubyte`",
    ),
    (
        "mnist --from other",
        1,
        "`other/train-images-idx3-ubyte` is not the published",
    ),
    (
        "mnist --from broken",
        1,
        "cannot read `broken/train-images-idx3-ubyte.gz`",
    ),
    (
        "mnist --from twice",
        1,
        "`twice/train-images-idx3-ubyte` and `twice/train-images.idx3-ubyte` are the same file by name",
    ),
    (
        "fashion-mnist --from other",
        1,
        "is not the published `train-images-idx3-ubyte`",
    ),
    (
        "cifar10 --from other",
        1,
        "`other` does not hold cifar10: looked for `data_batch_1.bin.gz`, `data_batch_1.bin` in it",
    ),
    (
        "mnist --data-dir file --from other",
        1,
        "run `flow fetch mnist` without `--from` to download it",
    ),
];

/// The hub's name of the first file of MNIST.
const TRAIN: &str = "mnist/train-00000-of-00001.parquet";

impl Sandbox {
    /// A folder of files that are no data set.
    fn with_wrong_files() -> Self {
        let sandbox = Self::new();
        sandbox.write("file", "no folder");
        let files = [
            "train-images-idx3",
            "train-labels-idx1",
            "t10k-images-idx3",
            "t10k-labels-idx1",
        ];
        for file in files {
            sandbox.write(&format!("other/{file}-ubyte"), "no images");
            sandbox.write(&format!("twice/{file}-ubyte"), "no images");
            // It begins as gzip does.
            sandbox.write(&format!("broken/{file}-ubyte.gz"), [0x1f, 0x8b, 8, 0]);
        }
        sandbox.write("twice/train-images.idx3-ubyte", "no images either");
        sandbox.write("part/MNIST/raw/train-images-idx3-ubyte", "no images");
        fs::create_dir(sandbox.path("empty")).unwrap();
        fs::create_dir_all(sandbox.path("folders/train-images-idx3-ubyte")).unwrap();
        sandbox
    }

    /// `flow fetch` without a hub, with another folder as the cache of downloads.
    fn fetch(&self, cache: &Self, words: &str) -> Command {
        let mut command = self.flow(&format!("fetch {words}"));
        command
            .env("HF_HOME", cache.path(""))
            .env("HF_ENDPOINT", "http://127.0.0.1:9");
        for name in ["HF_TOKEN", "HF_TOKEN_PATH", "HF_HUB_CACHE"] {
            command.env_remove(name);
        }
        command
    }
}

#[test]
fn what_cannot_be_fetched() {
    let (sandbox, cache) = (Sandbox::with_wrong_files(), Sandbox::new());
    for (words, status, expected) in ROWS {
        let error = fails(&sandbox, status, &mut sandbox.fetch(&cache, words));
        assert!(
            status == 2 || error.lines().count() == 1,
            "{words}: {error}"
        );
        assert!(error.contains(expected), "{words}: {error}");
    }
}

#[test]
fn an_endpoint_that_is_no_address() {
    let (sandbox, cache) = (Sandbox::new(), Sandbox::new());
    let mut command = sandbox.fetch(&cache, "mnist");
    let error = fails(&sandbox, 1, command.env("HF_ENDPOINT", "no address"));
    assert!(error.contains("HF_ENDPOINT"), "{error}");
}

/// The whole sentence for each fault, with what to do. A token may be in the environment or in a
/// file.
#[test]
fn faults_of_the_hub() {
    let (sandbox, cache) = (Sandbox::new(), Sandbox::new());
    let files = HashMap::from([(format!("ylecun/mnist/{TRAIN}"), b"no images".to_vec())]);
    let server = HubServer::start(files, Fault::Token("secret"));
    let failed = format!("error: cannot fetch mnist: cannot download `{TRAIN}` of `ylecun/mnist`");
    let wrong =
        format!("error: cannot fetch mnist: the download `{TRAIN}` was wrong and is deleted");
    let again = "run `flow fetch mnist` again";
    let error = |token: &str| {
        let mut command = sandbox.fetch(&cache, "mnist");
        command.env("HF_ENDPOINT", &server.endpoint);
        fails(&sandbox, 1, command.env("HF_TOKEN", token))
    };

    let advice = format!("set `HF_TOKEN` to a token that may read it and {again}");
    let expected = format!("{failed}: 401 Unauthorized; {advice}\n");
    assert_eq!(error(""), expected);
    let expected = format!("{wrong}: it is not a parquet file; {again}\n");
    assert_eq!(error("secret"), expected);
    cache.write("token", "secret\n");
    assert_eq!(error(""), expected);

    server.set_fault(Fault::Truncate);
    let advice = format!("{again}, or with `--from DIR` if you have the files");
    let expected = format!("{failed}: Peer disconnected; {advice}\n");
    assert_eq!(error(""), expected);
    server.set_fault(Fault::Corrupt);
    let text = error("");
    assert!(
        text.starts_with(&format!("{wrong}: its SHA-256 is ")),
        "{text}"
    );
    assert!(text.ends_with(&format!("; {again}\n")), "{text}");
}

/// A data set of the hub, of one configuration, that the commands find again by its name.
#[test]
fn a_data_set_of_anybody() {
    let (sandbox, cache) = (Sandbox::new(), Sandbox::new());
    let pets = include_bytes!("../../../../flow-data/tests/data/parquet/train-snappy.parquet");
    let files = HashMap::from([
        ("owner/pets/cats/train.parquet".to_owned(), pets.to_vec()),
        ("owner/pets/dogs/train.parquet".to_owned(), pets.to_vec()),
    ]);
    let server = HubServer::start(files, Fault::None);
    let fetch = |words: &str| {
        let mut command = sandbox.fetch(&cache, words);
        command.env("HF_ENDPOINT", &server.endpoint);
        command
    };
    let error = fails(&sandbox, 1, &mut fetch("hub:owner/pets"));
    assert_eq!(
        error,
        "error: cannot fetch hub:owner/pets: `hub:owner/pets` has several configurations: `cats`, \
         `dogs`; name one with `--config`\n"
    );
    for (words, start) in [
        (
            "hub:owner/pets --config cats",
            "wrote hub:owner/pets/cats to `data",
        ),
        (
            "hub:owner/pets/cats",
            "hub:owner/pets/cats is complete in `data",
        ),
    ] {
        let output = fetch(words).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.starts_with(start), "{text}");
    }
    assert!(
        sandbox
            .path("data/hub/owner/pets@cats/train.parquet")
            .is_file()
    );
    let error = fails(
        &sandbox,
        1,
        &mut fetch("hub:owner/pets/cats --image-column photo"),
    );
    assert!(
        error.contains("has no column `photo` of images; it has `image`, `label`"),
        "{error}"
    );
}
