//! The split and the class of each picture of a collection.

use std::collections::{BTreeSet, HashMap};

use sha2::{Digest, Sha256};

use crate::{
    Error, Result, Split,
    collection::{Class, Collection, Entry, Part},
};

/// Numbers of classes are below this.
const MAX_CLASSES: u32 = 1 << 17;

/// The split and the class of each picture.
pub(super) struct Plan {
    /// For each entry; nothing for pictures that are left out.
    pub(super) splits: Vec<Option<Split>>,
    /// The class of each entry; 0 where classes are unknown.
    pub(super) labels: Vec<u32>,
    /// Names of the classes; none where classes are unknown.
    pub(super) classes: Vec<String>,
}

impl Plan {
    /// Reads the entries of `collection`.
    ///
    /// # Errors
    /// Some have a class or a part and others have not, or test images are of a class that training
    /// images are not.
    pub(super) fn of(collection: &Collection, test_share: f64, seed: u64) -> Result<Self> {
        let entries = &collection.entries;
        let (labels, classes) = labels(collection)?;
        ensure_all_or_none(entries)?;
        let has_test = has_test(entries);
        let mut splits = if has_test {
            by_part(entries)
        } else {
            by_name(entries, test_share, seed)
        };
        if !classes.is_empty() && test_share < 1.0 {
            let trained: BTreeSet<_> = pairs(&splits, &labels, Split::Train).collect();
            let unknown = |place: &usize| {
                splits[*place] == Some(Split::Test) && !trained.contains(&labels[*place])
            };
            let lost = (0..entries.len()).filter(unknown).collect::<Vec<_>>();
            match lost.first() {
                Some(&place) if has_test && !trained.is_empty() => {
                    let class = &classes[labels[place] as usize];
                    let reason = format!(
                        "is a test image of class `{class}`, and no training image is; remove it"
                    );
                    return Err(misplaced(&entries[place], reason));
                }
                _ if has_test => {}
                // The only image of its class teaches more than it tests.
                _ => lost
                    .into_iter()
                    .for_each(|place| splits[place] = Some(Split::Train)),
            }
        }
        Ok(Self {
            splits,
            labels,
            classes,
        })
    }
}

fn pairs(splits: &[Option<Split>], labels: &[u32], wanted: Split) -> impl Iterator<Item = u32> {
    let both = splits.iter().zip(labels);
    both.filter(move |(split, _)| **split == Some(wanted))
        .map(|(_, label)| *label)
}

/// True if a collection has test images of its own; training images alone are all of its images.
pub(super) fn has_test(entries: &[Entry]) -> bool {
    let mut parts = entries.iter().filter_map(|entry| entry.part);
    parts.any(|part| part != Part::Train)
}

/// Checks that all images belong to a part, if any does.
fn ensure_all_or_none(entries: &[Entry]) -> Result<()> {
    let is_parted = entries.iter().any(|entry| entry.part.is_some());
    let mut others = entries.iter().filter(|entry| entry.part.is_none());
    match others.next().filter(|_| is_parted) {
        None => Ok(()),
        Some(entry) => Err(misplaced(
            entry,
            "belongs neither to the training images nor to the test images, as others do; move it",
        )),
    }
}

fn misplaced(entry: &Entry, reason: impl Into<String>) -> Error {
    Error::Misplaced {
        name: entry.name.clone(),
        reason: reason.into(),
    }
}

/// The splits that a collection has itself.
fn by_part(entries: &[Entry]) -> Vec<Option<Split>> {
    let stand_in = entries.iter().all(|entry| entry.part != Some(Part::Test));
    let split = |entry: &Entry| match entry.part? {
        Part::Train => Some(Split::Train),
        Part::Test => Some(Split::Test),
        Part::Validation => stand_in.then_some(Split::Test),
    };
    entries.iter().map(split).collect()
}

/// Splits by names: whoever adds pictures keeps the split of those that were there.
fn by_name(entries: &[Entry], test_share: f64, seed: u64) -> Vec<Option<Split>> {
    let draw = |entry: &Entry| {
        let mut hash = Sha256::new();
        hash.update(seed.to_le_bytes());
        hash.update(&entry.name);
        let digest = hash.finalize();
        let first = digest.first_chunk().copied().unwrap_or_default();
        // Up to 1, which no draw reaches.
        (u64::from_le_bytes(first) >> 11) as f64 / 2_f64.powi(53)
    };
    let draws = entries.iter().map(draw).collect::<Vec<_>>();
    let least = draws.iter().copied().fold(f64::INFINITY, f64::min);
    let is_test = |draw: f64| draw < test_share || draw <= least;
    let split = |draw| {
        if is_test(draw) {
            Split::Test
        } else {
            Split::Train
        }
    };
    draws.into_iter().map(|draw| Some(split(draw))).collect()
}

/// The class of each entry, and the names of classes.
pub(super) fn labels(collection: &Collection) -> Result<(Vec<u32>, Vec<String>)> {
    let entries = &collection.entries;
    let Some(first) = entries.iter().find_map(|entry| entry.class.as_ref()) else {
        return Ok((vec![0; entries.len()], Vec::new()));
    };
    if let Some(entry) = entries.iter().find(|entry| entry.class.is_none()) {
        return Err(misplaced(
            entry,
            "has no class, as others have; put all images into folders of classes, or none",
        ));
    }
    let is_named = |class: &Class| matches!(class, Class::Name(_));
    let other = entries.iter().find(|entry| {
        entry
            .class
            .as_ref()
            .is_some_and(|class| is_named(class) != is_named(first))
    });
    if let Some(entry) = other {
        return Err(misplaced(
            entry,
            "has a number as its class and others a name, or the other way round; \
             write all in one way",
        ));
    }
    let mut names: Vec<String> = collection.class_names.clone().unwrap_or_default();
    let known = collection.class_names.is_some();
    if is_named(first) && !known {
        let all = entries.iter().filter_map(|entry| match &entry.class {
            Some(Class::Name(name)) => Some(name.clone()),
            _ => None,
        });
        names = all.collect::<BTreeSet<_>>().into_iter().collect();
    }
    let places: HashMap<_, _> = names.iter().map(String::as_str).zip(0_u32..).collect();
    let mut labels = Vec::with_capacity(entries.len());
    for entry in entries {
        match &entry.class {
            Some(Class::Name(name)) => {
                let Some(&place) = places.get(name.as_str()) else {
                    let reason =
                        format!("is of class `{name}`, which the collection does not list");
                    return Err(misplaced(entry, reason));
                };
                labels.push(place);
            }
            Some(Class::Number(label))
                if *label < MAX_CLASSES && (!known || (*label as usize) < names.len()) =>
            {
                labels.push(*label);
            }
            Some(Class::Number(label)) => {
                let reason = format!("is of class {label}, which the collection does not list");
                return Err(misplaced(entry, reason));
            }
            None => {}
        }
    }
    if names.is_empty() {
        let most = labels.iter().copied().max().unwrap_or(0);
        names = (0..=most).map(|label| label.to_string()).collect();
    }
    Ok((labels, names))
}
