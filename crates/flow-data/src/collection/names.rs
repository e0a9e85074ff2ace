//! Splits and classes, as the names of files and folders tell them.

use std::path::Path;

use super::{Class, Entry, Part};

/// The path of a file below `root`, with `/` between its parts.
pub(super) fn below(root: &Path, file: &Path) -> String {
    let below = file.strip_prefix(root).unwrap_or(file);
    let parts = below.iter().map(|part| part.to_string_lossy());
    parts.collect::<Vec<_>>().join("/")
}

/// The part of a data set that a folder's or a file's name stands for, such as `train` or
/// `test-00000-of-00001`.
pub(crate) fn part_of(name: &str) -> Option<Part> {
    let name = name.to_ascii_lowercase();
    // The hub converts the first files of large parts.
    let name = name.strip_prefix("partial-").unwrap_or(&name);
    let word = name.split(|c: char| !c.is_ascii_alphabetic()).next()?;
    match word {
        "train" | "training" => Some(Part::Train),
        "test" | "testing" => Some(Part::Test),
        "val" | "valid" | "validation" => Some(Part::Validation),
        _ => None,
    }
}

/// The part that the last such word in a path stands for, as in `imagenet-train-000.tar`,
/// `val/000.tar`, `x_test` and MNIST's `t10k-images`.
pub(super) fn part_in(path: &str) -> Option<Part> {
    let of_word = |word: &str| match word {
        "t10k" => Some(Part::Test),
        _ => part_of(word),
    };
    path.rsplit(['/', '-', '_', '.']).find_map(of_word)
}

/// Parts, unless all are the same: only together do they split anything.
pub(super) fn unless_same(mut parts: Vec<Option<Part>>) -> Vec<Option<Part>> {
    if parts.windows(2).all(|pair| pair[0] == pair[1]) {
        parts.fill(None);
    }
    parts
}

/// Entries of pictures at paths, whose parts `/` separates: `[PART/][CLASS/…]FILE`, below folders
/// that are common to all of them.
pub(super) fn entries(paths: Vec<String>) -> Vec<Entry> {
    let skipped = common_folders(&paths);
    let entry = |path: String| {
        let mut folders = path.split('/').skip(skipped).collect::<Vec<_>>();
        folders.pop();
        let part = folders.first().and_then(|folder| part_of(folder));
        let class = folders.get(usize::from(part.is_some()));
        let class = class.map(|folder| Class::Name((*folder).to_owned()));
        Entry {
            class,
            part,
            name: path,
        }
    };
    paths.into_iter().map(entry).collect()
}

/// The number of folders, from the outermost, that all paths share and that name no part.
pub(crate) fn common_folders(paths: &[String]) -> usize {
    let Some((first, _)) = paths.first().and_then(|path| path.rsplit_once('/')) else {
        return 0;
    };
    let is_common = |(depth, folder): &(usize, &str)| {
        paths.iter().all(|path| {
            let mut parts = path.split('/').skip(*depth);
            parts.next() == Some(folder) && parts.next().is_some()
        })
    };
    let mut folders = first
        .split('/')
        .take_while(|folder| part_of(folder).is_none());
    folders.by_ref().enumerate().take_while(is_common).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(paths: &[&str]) -> Vec<(Option<Part>, Option<String>)> {
        let entries = entries(paths.iter().map(|&path| path.to_owned()).collect());
        let name = |class| match class {
            Class::Name(name) => name,
            Class::Number(number) => panic!("{number}"),
        };
        let both = |entry: Entry| (entry.part, entry.class.map(name));
        entries.into_iter().map(both).collect()
    }

    #[test]
    fn words_tell_parts() {
        for (path, part) in [
            ("imagenet-train-000.tar", Some(Part::Train)),
            ("test-set/train_data_batch_1.npz", Some(Part::Train)),
            ("val/000.tar", Some(Part::Validation)),
            ("t10k-images-idx3-ubyte.gz", Some(Part::Test)),
            ("x_test", Some(Part::Test)),
            ("trainers-000.tar", None),
        ] {
            assert_eq!(part_in(path), part, "{path}");
        }
        let (train, test) = (Some(Part::Train), Some(Part::Test));
        assert_eq!(unless_same(vec![train, test]), [train, test]);
        assert_eq!(unless_same(vec![train, train]), [None, None]);
    }

    #[test]
    fn folders_tell_parts_and_classes() {
        let cat = Some("cat".to_owned());
        let dog = Some("dog".to_owned());
        assert_eq!(described(&["a.png", "b.png"]), [(None, None), (None, None)]);
        assert_eq!(
            described(&["cat/a.png", "dog/x/b.png"]),
            [(None, cat.clone()), (None, dog.clone())]
        );
        assert_eq!(
            described(&["pets/cat/a.png", "pets/dog/a.png"]),
            [(None, cat.clone()), (None, dog.clone())]
        );
        assert_eq!(
            described(&["x/train/cat/a.png", "x/test/dog/a.png", "x/val/dog/b.png"]),
            [
                (Some(Part::Train), cat),
                (Some(Part::Test), dog.clone()),
                (Some(Part::Validation), dog)
            ]
        );
        assert_eq!(
            described(&["train/a.png", "train/b.png"]),
            [(Some(Part::Train), None), (Some(Part::Train), None)]
        );
        // Folders that all share are no classes.
        assert_eq!(
            described(&["cat/a.png", "cat/b.png"]),
            [(None, None), (None, None)]
        );
        assert_eq!(described(&["trainers/a.png", "boots/b.png"])[0].0, None);
    }
}
