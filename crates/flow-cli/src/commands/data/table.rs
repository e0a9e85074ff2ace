//! The facts as a table for people.

use anyhow::Result;
use flow_data::picture::Fit;
use indicatif::{DecimalBytes, HumanCount};

use super::findings::{Findings, Size, Training};
use crate::output::{report, words::count};

/// Sizes, classes and pairs that are named.
const SIZES: usize = 5;
const CLASSES: usize = 20;
const PAIRS: usize = 5;

/// Prints the facts.
pub(super) fn print(found: &Findings) -> Result<()> {
    let mut rows = vec![
        ("files", found.kind.clone()),
        ("images", images(found)),
        ("sizes", sizes(&found.sizes)),
        ("colors", colors(found)),
        ("values", values(found)),
        ("classes", classes(found)),
        ("damaged", none_or(found.damaged.len(), "image")),
    ];
    let lines = found.damaged.iter();
    rows.extend(lines.map(|damaged| ("", format!("`{}`: {}", damaged.image, damaged.reason))));
    let (pairs, across) = (&found.duplicates.pairs, &found.duplicates.across_splits);
    rows.push(("duplicates", none_or(pairs.len(), "image")));
    rows.extend(listed(pairs));
    if !across.is_empty() {
        let number = count(across.len(), "test image");
        rows.push(("", format!("{number} among the training images, too:")));
        rows.extend(listed(across));
    }
    rows.push(("training", training(found)));
    report::table(&rows)
}

fn none_or(number: usize, noun: &str) -> String {
    match number {
        0 => "none".to_owned(),
        number => count(number, noun),
    }
}

/// The first of some pairs, and the number of the others.
fn listed(pairs: &[[String; 2]]) -> impl Iterator<Item = (&'static str, String)> + '_ {
    let shown = pairs.iter().take(PAIRS);
    let shown = shown.map(|[first, second]| format!("`{second}` is `{first}`"));
    let more = pairs.len().saturating_sub(PAIRS);
    let more = (more > 0).then(|| format!("and {} more", HumanCount(more as u64)));
    shown.chain(more).map(|line| ("", line))
}

fn images(found: &Findings) -> String {
    let all = HumanCount(found.images as u64);
    if found.training.is_split {
        format!("{all}, in splits of their own")
    } else {
        format!("{all}, without splits")
    }
}

fn sizes(sizes: &[Size]) -> String {
    let name = |size: &Size| format!("{}×{}", size.width, size.height);
    let area = |size: &&Size| u64::from(size.width) * u64::from(size.height);
    let (Some(smallest), Some(largest)) =
        (sizes.iter().min_by_key(area), sizes.iter().max_by_key(area))
    else {
        return "unknown".to_owned();
    };
    if let [only] = sizes {
        return name(only);
    }
    let shown = sizes.iter().take(SIZES);
    let shown = shown.map(|size| format!("{} ({})", name(size), HumanCount(size.images as u64)));
    let mut shown = shown.collect::<Vec<_>>();
    if sizes.len() > SIZES {
        let more = HumanCount((sizes.len() - SIZES) as u64);
        shown.push(format!("{more} more"));
    }
    let (smallest, largest) = (name(smallest), name(largest));
    format!("{}; from {smallest} to {largest}", shown.join(", "))
}

fn colors(found: &Findings) -> String {
    let all = found.sizes.iter().map(|size| size.images).sum::<usize>();
    let colors = match found.colored {
        0 => "grey".to_owned(),
        colored if colored == all => "rgb".to_owned(),
        colored => format!("{} rgb, {} grey", HumanCount(colored as u64), all - colored),
    };
    match found.with_alpha {
        0 => colors,
        some => format!("{colors}; {} with transparency", HumanCount(some as u64)),
    }
}

fn values(found: &Findings) -> String {
    let bits = count(found.bits as usize, "bit");
    let words = format!("{} of 256 occur: {bits}", found.values);
    if found.beyond_8_bits == 0 {
        return words;
    }
    let deep = count(found.beyond_8_bits, "image");
    format!("{words}; {deep} of more than 8 bits, which are rounded to 8")
}

fn classes(found: &Findings) -> String {
    let classes = &found.classes;
    let by_images = |(_, class): &(usize, &super::findings::Class)| class.images;
    let places = || classes.iter().enumerate();
    let (Some((_, least)), Some((_, most))) = (
        places().min_by_key(by_images),
        places().max_by_key(by_images),
    ) else {
        return "unknown".to_owned();
    };
    let name = |class: &super::findings::Class| {
        format!("{} {}", class.name, HumanCount(class.images as u64))
    };
    let mut shown = classes.iter().take(CLASSES).map(name).collect::<Vec<_>>();
    if classes.len() > CLASSES {
        shown.push(format!(
            "{} more",
            HumanCount((classes.len() - CLASSES) as u64)
        ));
    }
    let number = HumanCount(classes.len() as u64);
    let range = if least.images == most.images {
        String::new()
    } else {
        format!("; smallest {}, largest {}", name(least), name(most))
    };
    format!("{number}: {}{range}", shown.join(", "))
}

/// The outcome of a training's begin.
fn training(found: &Findings) -> String {
    let training = &found.training;
    let command = "`flow train` with the same options";
    match &training.refused {
        Some(reason) => format!("{command} refuses them: {reason}"),
        None => format!("{command} takes {}", taken(training, found.classes.len())),
    }
}

fn taken(training: &Training, classes: usize) -> String {
    let [train, test] = [training.train_images, training.test_images];
    let chosen = if training.is_split {
        ""
    } else {
        " (chosen by their names)"
    };
    let [c, h, w] = training.shape;
    let images = format!(
        "{} training and {}{chosen} of {c}×{h}×{w}",
        HumanCount(train as u64),
        count(test, "test image"),
    );
    let fit = match training.fit {
        None => "",
        Some(Fit::Crop) => ", cropped",
        Some(Fit::Pad) => ", padded",
        Some(Fit::Stretch) => ", stretched",
    };
    let [_, h, w] = training.canvas;
    let differs = training.canvas != training.shape;
    let canvas = differs.then(|| format!(", cut off or filled up to {h}×{w}"));
    let classes = (classes > 0).then(|| format!(", {}", count(classes, "class")));
    let cache = training.cache.as_ref().map(|cache| {
        let bytes = DecimalBytes(cache.bytes as u64);
        format!("; prepared, they take {bytes} in `{}`", cache.folder)
    });
    let others = [canvas, classes, cache].into_iter().flatten();
    images + fit + &others.collect::<String>()
}
