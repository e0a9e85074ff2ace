//! Pictures of a collection into the prepared files.

use std::path::PathBuf;

use rayon::prelude::*;

use crate::{
    Error, Malformed, Result, Split, Watch,
    collection::{Collection, Pictures, Stored},
    picture::{self, Fitting},
    progress::{Counter, Stage},
};

use super::{Formats, Preparation, packed::Writer, plan::Plan};

/// Pictures that are decoded at once at most, and the bytes that they take.
const RUN: usize = 256;
const RUN_BYTES: usize = 64 << 20;

/// Writes the prepared files of both splits.
pub(super) fn write(
    collection: &Collection,
    preparation: &Preparation,
    paths: &[PathBuf; 2],
    watch: Watch<'_>,
) -> Result<()> {
    let plan = Plan::of(collection, preparation.test_share, preparation.seed)?;
    let is_given = preparation.size.is_some() && preparation.color.is_some();
    let formats = if is_given {
        Formats::default()
    } else {
        Formats::of(collection)?
    };
    let fitting = formats.fitting(preparation);
    let mut counter = Counter::start(Stage::Preparing, plan.labels.len() as u64, watch);
    let count = |split| {
        plan.splits
            .iter()
            .filter(|found| **found == Some(split))
            .count()
    };
    let create = |split, path| Writer::create(path, &plan.classes, fitting, count(split));
    let mut train = create(Split::Train, &paths[0])?;
    let mut test = create(Split::Test, &paths[1])?;
    let mut damaged = 0;
    let mut places = 0..plan.labels.len();
    for run in runs(collection.pictures()?) {
        let first = places.start;
        let wanted = plan.splits[first..].iter();
        let fitted = run
            .into_par_iter()
            .zip(wanted.as_slice())
            .map(|(stored, split)| split.is_some().then(|| pixels(stored?, &fitting)));
        for pixels in fitted.collect::<Vec<_>>() {
            let place = places.next().ok_or_else(|| too_many(collection))?;
            counter.add(1);
            let name = &collection.entries[place].name;
            let to = match plan.splits[place] {
                Some(Split::Train) => &mut train,
                Some(Split::Test) => &mut test,
                None => continue,
            };
            match pixels {
                Some(Ok(pixels)) => to.add(&pixels, plan.labels[place])?,
                Some(Err(_)) if preparation.skip_damaged => damaged += 1,
                Some(Err(reason)) => {
                    let name = name.clone();
                    return Err(Error::Damaged { name, reason });
                }
                None => {}
            }
        }
    }
    if let Some(place) = places.next() {
        let name = collection.entries[place].name.clone();
        let reason = "its collection ends before it".into();
        return Err(Error::Damaged { name, reason });
    }
    train.finish(damaged)?;
    test.finish(damaged)
}

/// Pictures in runs that are decoded side by side.
pub(super) fn runs(
    mut pictures: Pictures<'_>,
) -> impl Iterator<Item = Vec<Result<Stored, Malformed>>> {
    std::iter::from_fn(move || {
        let (mut run, mut bytes) = (Vec::new(), 0);
        while run.len() < RUN && bytes < RUN_BYTES {
            let Some(stored) = pictures.next() else { break };
            bytes += match &stored {
                Ok(Stored::Encoded(content)) => content.len(),
                Ok(Stored::Pixels(pixels)) => pixels.as_bytes().len(),
                Ok(Stored::File(_)) | Err(_) => 0,
            };
            run.push(stored);
        }
        (!run.is_empty()).then_some(run)
    })
}

/// The pixels `[C, H, W]` of a picture.
pub(super) fn pixels(stored: Stored, fitting: &Fitting) -> Result<Vec<u8>, Malformed> {
    let decoded = match stored {
        Stored::File(path) => picture::decode(&picture::read(&path)?)?,
        Stored::Encoded(content) => picture::decode(&content)?,
        Stored::Pixels(pixels) => pixels,
    };
    fitting.apply(decoded)
}

fn too_many(collection: &Collection) -> Error {
    let last = collection.entries.last();
    Error::Damaged {
        name: last.map_or_else(String::new, |entry| entry.name.clone()),
        reason: "its collection goes on behind it".into(),
    }
}
