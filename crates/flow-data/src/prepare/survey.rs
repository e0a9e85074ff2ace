//! A look at every picture of a collection, without preparing any.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Cursor,
};

use image::DynamicImage;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::{
    Error, Malformed, Result, Split, Watch,
    collection::{Collection, Stored},
    picture::{self, Facts, Fitting},
    progress::{Counter, Stage},
};

use super::{
    Formats, Preparation,
    formats::facts_of_pixels,
    plan::{self, Plan},
    write::{pixels, runs},
};

/// The pictures of a collection as they are found, and what a preparation would make of them.
/// Pictures are numbered by their places in the collection.
pub struct Survey {
    collection: Collection,
    /// Sizes and colors.
    pub formats: Formats,
    /// The number of pictures with more than 8 bits a value, which become 8.
    pub deep: usize,
    /// Counts of each of the 256 values among the pixels of all channels but alpha.
    pub histogram: [u64; 256],
    /// Pictures that cannot be read, with the reasons.
    pub damaged: Vec<(usize, Malformed)>,
    /// Pictures with the same pixels after decoding, in groups of two or more.
    pub duplicates: Vec<Vec<usize>>,
    /// Names of the classes, with the number of pictures of each; none where they are unknown.
    pub classes: Vec<(String, usize)>,
    /// The class of each picture; none where they are unknown.
    labels: Vec<u32>,
    /// The split of each picture, nothing for those that are left out; or the reason why there is
    /// no way to split them.
    pub splits: Result<Vec<Option<Split>>>,
    /// The shape of images that the pictures would become.
    pub fitting: Fitting,
}

/// The first half of SHA-256 of a picture's size and pixels.
type Fingerprint = [u8; 16];

/// A decoded picture, counted.
struct Seen {
    fingerprint: Fingerprint,
    histogram: [u32; 256],
    is_deep: bool,
}

/// Counts of pictures that were decoded.
struct Found {
    formats: Formats,
    deep: usize,
    histogram: [u64; 256],
    damaged: Vec<(usize, Malformed)>,
    fingerprints: Vec<(Fingerprint, usize)>,
}

impl Survey {
    /// Decodes all pictures, several at a time. `preparation` is the one to describe.
    ///
    /// # Errors
    /// A file of the collection cannot be opened.
    pub fn of(collection: Collection, preparation: &Preparation, watch: Watch<'_>) -> Result<Self> {
        let (labels, names) = plan::labels(&collection).unwrap_or_default();
        let splits = Plan::of(&collection, preparation.test_share, preparation.seed);
        let found = Found::of(&collection, watch)?;
        Ok(Self {
            fitting: found.formats.fitting(preparation),
            formats: found.formats,
            deep: found.deep,
            histogram: found.histogram,
            damaged: found.damaged,
            duplicates: alike(found.fingerprints),
            classes: counted(names, &labels),
            labels,
            splits: splits.map(|plan| plan.splits),
            collection,
        })
    }

    /// The number of pictures.
    pub fn len(&self) -> usize {
        self.collection.entries.len()
    }

    /// True if there are no pictures.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name of a picture.
    pub fn name(&self, place: usize) -> &str {
        &self.collection.entries[place].name
    }

    /// The class of a picture, as a place in [`classes`](Self::classes), if it is known.
    pub fn class(&self, place: usize) -> Option<usize> {
        let known = !self.classes.is_empty();
        known.then(|| self.labels[place] as usize)
    }

    /// The split of a picture; nothing if it is left out, or there is no way to split them.
    pub fn split(&self, place: usize) -> Option<Split> {
        self.splits.as_ref().ok().and_then(|splits| splits[place])
    }

    /// Pictures that are like an earlier one, each behind the first of these.
    pub fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.duplicates.iter().flat_map(|group| {
            let others = group.iter().skip(1);
            others.map(|other| (group[0], *other))
        })
    }

    /// Test images that are like a training image, each behind the first of these.
    pub fn leaks(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.duplicates.iter().flat_map(move |group| {
            let of = |split| move |place: &usize| self.split(*place) == Some(split);
            let train = group.iter().copied().find(of(Split::Train));
            let tests = group.iter().copied().filter(of(Split::Test));
            tests.filter_map(move |test| Some((train?, test)))
        })
    }

    /// True if the collection has test images itself.
    pub fn is_split(&self) -> bool {
        plan::has_test(&self.collection.entries)
    }

    /// At most `limit` pictures that can be read, of one class or of all: one drawn from each of as
    /// many runs of equal length.
    pub fn spread(&self, class: Option<usize>, limit: usize, seed: u64) -> Vec<usize> {
        let is_damaged = |place: &usize| {
            let found = self
                .damaged
                .binary_search_by_key(place, |(damaged, _)| *damaged);
            found.is_ok()
        };
        let is_of = |place: &usize| class.is_none() || self.class(*place) == class;
        let places = (0..self.len()).filter(|place| is_of(place) && !is_damaged(place));
        let places = places.collect::<Vec<_>>();
        let limit = limit.min(places.len());
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let runs = (0..limit).map(|run| {
            let [first, end] = [run, run + 1].map(|run| run * places.len() / limit);
            places[first + random.next_u64() as usize % (end - first)]
        });
        runs.collect()
    }

    /// The pixels `[C, H, W]` of pictures in this shape, by their places. Others are not decoded.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn images(
        &self,
        places: &BTreeSet<usize>,
        fitting: &Fitting,
    ) -> Result<BTreeMap<usize, Vec<u8>>> {
        let end = places.last().map_or(0, |last| last + 1);
        let mut images = BTreeMap::new();
        for (place, stored) in self.collection.pictures()?.take(end).enumerate() {
            if places.contains(&place) {
                let image = stored.and_then(|stored| pixels(stored, fitting));
                let image = image.map_err(|reason| Error::Damaged {
                    name: self.name(place).to_owned(),
                    reason,
                })?;
                images.insert(place, image);
            }
        }
        Ok(images)
    }
}

impl Found {
    fn of(collection: &Collection, watch: Watch<'_>) -> Result<Self> {
        let count = collection.entries.len();
        let mut found = Self {
            formats: Formats::default(),
            deep: 0,
            histogram: [0; 256],
            damaged: Vec::new(),
            fingerprints: Vec::with_capacity(count),
        };
        let mut counter = Counter::start(Stage::Preparing, count as u64, watch);
        let mut places = 0..count;
        for run in runs(collection.pictures()?) {
            let looked = run.into_par_iter().map(look).collect::<Vec<_>>();
            // In this order, zip takes no place that has no picture.
            for ((facts, seen), place) in looked.into_iter().zip(&mut places) {
                counter.add(1);
                found.add(place, facts, seen);
            }
        }
        let missing = places.map(|place| (place, "its collection ends before it".into()));
        found.damaged.extend(missing);
        Ok(found)
    }

    fn add(&mut self, place: usize, facts: Option<Facts>, seen: Result<Seen, Malformed>) {
        if let Some(facts) = &facts {
            self.formats.count(facts);
        }
        match seen {
            Ok(seen) => {
                self.fingerprints.push((seen.fingerprint, place));
                self.deep += usize::from(seen.is_deep);
                let counts = self.histogram.iter_mut().zip(seen.histogram);
                counts.for_each(|(all, count)| *all += u64::from(count));
            }
            Err(reason) => self.damaged.push((place, reason)),
        }
    }
}

/// The facts of a picture, as far as it has some, and its pixels.
fn look(stored: Result<Stored, Malformed>) -> (Option<Facts>, Result<Seen, Malformed>) {
    let content = match stored {
        Ok(Stored::Pixels(pixels)) => {
            return (Some(facts_of_pixels(&pixels)), Ok(Seen::of(pixels)));
        }
        Ok(Stored::Encoded(content)) => Ok(content),
        Ok(Stored::File(path)) => picture::read(&path),
        Err(reason) => Err(reason),
    };
    let content = match content {
        Ok(content) => content,
        Err(reason) => return (None, Err(reason)),
    };
    match picture::decode(&content) {
        Ok(pixels) => (Some(facts_of_pixels(&pixels)), Ok(Seen::of(pixels))),
        // The header of a damaged picture may be whole.
        Err(reason) => (picture::facts(Cursor::new(&content)).ok(), Err(reason)),
    }
}

impl Seen {
    fn of(picture: DynamicImage) -> Self {
        let color = picture.color();
        let is_deep = color.bits_per_pixel() > 8 * u16::from(color.channel_count());
        // Grey that is saved as colors is the same as grey.
        let channels = if color.has_color() { 3 } else { 1 };
        let pixels = picture.into_rgba8();
        let mut hash = Sha256::new();
        hash.update(pixels.width().to_le_bytes());
        hash.update(pixels.as_raw());
        let mut histogram = [0; 256];
        for pixel in pixels.as_raw().as_chunks::<4>().0 {
            for &value in &pixel[..channels] {
                histogram[usize::from(value)] += 1;
            }
        }
        let digest = hash.finalize();
        Self {
            fingerprint: digest.first_chunk().copied().unwrap_or_default(),
            histogram,
            is_deep,
        }
    }
}

/// Places in groups of the same fingerprint, of two or more.
fn alike(mut fingerprints: Vec<(Fingerprint, usize)>) -> Vec<Vec<usize>> {
    fingerprints.sort_unstable();
    let groups = fingerprints.chunk_by(|(a, _), (b, _)| a == b);
    let places = |group: &[(Fingerprint, usize)]| group.iter().map(|(_, place)| *place).collect();
    let groups = groups.filter(|group| group.len() > 1).map(places);
    let mut groups = groups.collect::<Vec<Vec<_>>>();
    groups.sort_unstable();
    groups
}

/// Names of classes with the number of pictures of each.
fn counted(names: Vec<String>, labels: &[u32]) -> Vec<(String, usize)> {
    let mut classes = names.into_iter().map(|name| (name, 0)).collect::<Vec<_>>();
    for &label in labels {
        if let Some((_, count)) = classes.get_mut(label as usize) {
            *count += 1;
        }
    }
    classes
}
