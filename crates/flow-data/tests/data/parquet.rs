//! Parquet files of another writer: PyArrow's, in `parquet/`, where the script is.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use flow_data::{
    Malformed,
    collection::{Class, Collection, Part, Sources, Stored},
    parquet::{Table, Values},
    picture,
};
use tempfile::TempDir;

/// A folder with some of the files, under other names if these are given, and a `collection.json`.
fn folder(files: &[(&str, &str)], record: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (file, name) in files {
        let to = folder.path().join(name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(fixture(file), to).unwrap();
    }
    if !record.is_empty() {
        fs::write(folder.path().join("collection.json"), record).unwrap();
    }
    folder
}

fn fixture(file: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/parquet");
    folder.join(format!("{file}.parquet"))
}

fn open(path: &Path) -> Result<Collection, String> {
    let sources = Sources::find(path).map_err(|error| error.to_string())?;
    sources.open().map_err(|error| error.to_string())
}

/// The grey of each picture, or the reason why it cannot be read.
fn greys(collection: &Collection) -> Vec<Result<u8, String>> {
    let grey =
        |stored: Result<Stored, Malformed>| match stored.map_err(|error| error.to_string())? {
            Stored::Encoded(content) => {
                let picture = picture::decode(&content).unwrap().into_luma8();
                assert_eq!(picture.dimensions(), (3, 2));
                let grey = picture.as_raw()[0];
                assert_eq!(picture.into_raw(), [grey; 6]);
                Ok(grey)
            }
            Stored::File(_) | Stored::Pixels(_) => panic!("it is encoded"),
        };
    collection.pictures().unwrap().map(grey).collect()
}

fn classes(collection: &Collection) -> Vec<Option<Class>> {
    let entries = collection.entries.iter();
    entries.map(|entry| entry.class.clone()).collect()
}

fn numbers(classes: &[u32]) -> Vec<Option<Class>> {
    let classes = classes.iter().copied();
    classes.map(|class| Some(Class::Number(class))).collect()
}

fn names(classes: &[&str]) -> Vec<String> {
    classes.iter().map(|&class| class.to_owned()).collect()
}

#[test]
fn missing_images_and_classes_are_told_one_by_one() {
    let collection = open(&fixture("train-snappy")).unwrap();
    let none = || Err("it has no image".to_owned());
    assert_eq!(
        greys(&collection),
        [Ok(0), Ok(10), none(), Ok(30), Ok(40), none(), Ok(60)]
    );
    let number = |class| Some(Class::Number(class));
    let expected = [
        number(0),
        number(1),
        number(0),
        number(1),
        None,
        None,
        number(1),
    ];
    assert_eq!(classes(&collection), expected);
    assert_eq!(collection.class_names, Some(names(&["cat", "dog"])));
    let last = &collection.entries[6];
    assert_eq!(last.name, "train-snappy.parquet#000006");
    assert_eq!(last.part, Some(Part::Train));
}

#[test]
fn classes_may_be_texts_and_images_a_plain_column() {
    let collection = open(&fixture("test-zstd")).unwrap();
    assert_eq!(greys(&collection), [0, 10, 20, 30, 40, 50, 60].map(Ok));
    let expected = ["ant", "bee", "ant", "bee", "ant", "bee", "cow"];
    let expected = expected.map(|name| Some(Class::Name(name.to_owned())));
    assert_eq!(classes(&collection), expected);
    assert_eq!(collection.class_names, None);
    assert_eq!(collection.entries[0].part, Some(Part::Test));
}

#[test]
fn values_of_dictionaries_are_those_of_each_group_of_rows() {
    let collection = open(&fixture("zstd-dictionary")).unwrap();
    assert_eq!(greys(&collection), [0, 10, 0, 10, 0, 10, 60].map(Ok));
    assert_eq!(classes(&collection), numbers(&[0, 1, 0, 1, 0, 1, 2]));
    assert_eq!(collection.entries[0].part, None);
}

#[test]
fn several_columns_ask_for_one() {
    let open = |record: &str| {
        let folder = folder(&[("gzip", "a.parquet")], record);
        open(folder.path()).map(|collection| {
            assert_eq!(greys(&collection), [0, 10, 20, 30, 40, 50, 60].map(Ok));
            classes(&collection)
        })
    };
    let ends = |record: &str, end: &str| {
        let error = open(record).unwrap_err();
        assert!(error.ends_with(end), "{error}");
    };
    ends(
        "",
        "a.parquet` has several columns of images: `photo`, `thumb`; name one with \
         `flow fetch --image-column`, or as `image_column` in `collection.json` beside it",
    );
    ends(
        r#"{"image_column": "thumb"}"#,
        "a.parquet` has several columns of classes: `coarse`, `fine`; name one with \
         `flow fetch --label-column`, or as `label_column` in `collection.json` beside it",
    );
    ends(
        r#"{"image_column": "coarse"}"#,
        "has no column `coarse` of images; it has `photo`, `thumb`, `coarse`, `fine`",
    );
    ends(
        r#"{"image_column": "photo", "label_column": "sort"}"#,
        "has no column `sort` of classes; it has `photo`, `thumb`, `coarse`, `fine`",
    );
    ends(
        r#"{"image": "photo"}"#,
        "unknown field `image`, expected one of `repository`, `revision`, `config`, \
         `image_column`, `label_column`, `files` at line 1 column 8",
    );
    for (label, expected) in [
        ("coarse", [0, 0, 0, 1, 1, 1, 1]),
        ("fine", [1, 0, 1, 0, 1, 0, 1]),
    ] {
        let record = format!(r#"{{"image_column": "photo", "label_column": "{label}"}}"#);
        assert_eq!(open(&record).unwrap(), numbers(&expected));
    }
}

#[test]
fn parts_are_those_of_files_or_folders() {
    let files = [
        ("zstd-dictionary", "data/train-00000-of-00002.parquet"),
        ("zstd-dictionary", "data/train-00001-of-00002.parquet"),
        ("zstd-dictionary", "pets/test/0000.parquet"),
    ];
    let folder = folder(&files, "");
    let collection = open(folder.path()).unwrap();
    let of = |row: usize| {
        let entry = &collection.entries[row];
        (&*entry.name, entry.part)
    };
    assert_eq!(
        of(0),
        (
            "data/train-00000-of-00002.parquet#000000",
            Some(Part::Train)
        )
    );
    assert_eq!(
        of(13),
        (
            "data/train-00001-of-00002.parquet#000006",
            Some(Part::Train)
        )
    );
    assert_eq!(of(14), ("pets/test/0000.parquet#000000", Some(Part::Test)));
    let greys = greys(&collection);
    assert_eq!(greys.len(), collection.entries.len());
    assert_eq!(greys[14..], [0, 10, 0, 10, 0, 10, 60].map(Ok));
}

#[test]
fn what_is_not_read_is_said() {
    let error = open(&fixture("brotli")).err().unwrap();
    let end =
        "brotli.parquet` cannot be read: it is compressed by Brotli; write it with Snappy or Zstd";
    assert!(error.ends_with(end), "{error}");
    let reason = "a page is encoded as DELTA_BYTE_ARRAY; write it plain or with a dictionary";
    let collection = open(&fixture("delta")).unwrap();
    assert_eq!(greys(&collection), vec![Err(reason.to_owned()); 7]);
    let files = [("train-snappy", "train.parquet"), ("gzip", "test.parquet")];
    let error = open(folder(&files, r#"{"image_column": "image"}"#).path())
        .err()
        .unwrap();
    assert!(
        error.contains("test.parquet` has no column `image` of images"),
        "{error}"
    );
}

/// A damaged page costs its own pictures.
#[test]
fn pictures_after_a_damaged_page_are_read() {
    let folder = folder(
        &[("gzip", "a.parquet")],
        r#"{"image_column": "photo", "label_column": "fine"}"#,
    );
    let path = folder.path().join("a.parquet");
    let whole = fs::read(&path).unwrap();
    let (mut some, mut none) = (0, 0);
    for at in 4..whole.len() / 3 {
        let mut file = whole.clone();
        file[at] ^= 0x55;
        fs::write(&path, &file).unwrap();
        let Ok(collection) = open(&path) else {
            continue;
        };
        let pictures = collection.pictures().unwrap().collect::<Vec<_>>();
        assert_eq!(pictures.len(), 7);
        match pictures.iter().filter(|picture| picture.is_err()).count() {
            0 => none += 1,
            1..7 => some += 1,
            _ => {}
        }
    }
    assert!(some > 100, "{some} {none}");
}

/// A damaged footer can give the rows of a group twice, so that fewer follow than it announces.
#[test]
fn rows_of_groups_are_as_many_as_announced() {
    let file = File::open(fixture("twice-counted")).unwrap();
    let table = Table::read(&file).unwrap();
    let column = &table.columns()[0];
    let error = Values::new(&table, column, &file).err().unwrap();
    assert_eq!(error.to_string(), "its footer is broken");
}
