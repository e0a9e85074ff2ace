//! The binary files of CIFAR-10 and CIFAR-100: records of labels and one image.
//!
//! A record of CIFAR-10 has one label; one of CIFAR-100 has a coarse label, which is left out, and
//! a fine one.

use std::{
    fs,
    io::{BufReader, ErrorKind, Read},
    path::Path,
};

use crate::{
    Error, Result,
    cifar10::{CHANNELS, IMAGE, SIDE},
};

use super::{super::Part, Array, Layout, Source, layout::Order, names};

/// Labels before an image, classes, and the file of their names.
struct Variant {
    lead: usize,
    classes: usize,
    names: &'static str,
}

const CIFAR10: Variant = Variant {
    lead: 1,
    classes: 10,
    names: "batches.meta.txt",
};

const CIFAR100: Variant = Variant {
    lead: 2,
    classes: 100,
    names: "fine_label_names.txt",
};

/// The images of a file.
pub(super) fn open(root: &Path, file: &Path) -> Result<Vec<Array>> {
    let name = names::below(root, file).to_ascii_lowercase();
    let name = name.rsplit('/').next().unwrap_or_default();
    let variant = match name.trim_end_matches(".gz") {
        "train.bin" | "test.bin" => CIFAR100,
        _ => CIFAR10,
    };
    let part = if name.starts_with("data_batch") {
        Some(Part::Train)
    } else {
        names::part_in(name)
    };
    let labels = labels(file, &variant)?;
    Ok(vec![Array {
        source: Source::whole(file),
        key: String::new(),
        part,
        start: 0,
        lead: variant.lead,
        layout: Layout {
            channels: CHANNELS,
            height: SIDE,
            width: SIDE,
            order: Order::First,
        },
        count: labels.len(),
        labels: Some(labels),
        class_names: class_names(file, &variant),
        is_rows: false,
    }])
}

/// The last label of each record.
fn labels(file: &Path, variant: &Variant) -> Result<Vec<u32>> {
    let content = Source::whole(file).open();
    let content = content.map_err(|error| Error::io(file, error))?;
    let mut content = BufReader::new(content);
    let mut labels = Vec::new();
    let mut record = vec![0; variant.lead + IMAGE];
    loop {
        let mut read = content.by_ref().take(1).read(&mut record);
        if matches!(read, Ok(1)) {
            read = content.read_exact(&mut record[1..]).map(|()| record.len());
        }
        let reason = match read {
            Ok(0) if !labels.is_empty() => return Ok(labels),
            Err(error) if error.kind() != ErrorKind::UnexpectedEof => {
                return Err(Error::io(file, error));
            }
            Ok(1..) if usize::from(record[variant.lead - 1]) < variant.classes => {
                labels.push(u32::from(record[variant.lead - 1]));
                continue;
            }
            Ok(1..) => format!(
                "labels image {} as {}, not 0 to {}",
                labels.len(),
                record[variant.lead - 1],
                variant.classes - 1
            ),
            _ => format!(
                "is not a file of CIFAR-{}: not records of {} bytes",
                variant.classes,
                record.len()
            ),
        };
        return Err(Error::format(file, reason));
    }
}

/// The names of classes, from the file beside that of the images.
fn class_names(file: &Path, variant: &Variant) -> Option<Vec<String>> {
    let text = fs::read_to_string(file.with_file_name(variant.names)).ok()?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let names = lines.map(str::to_owned).collect::<Vec<_>>();
    (names.len() == variant.classes).then_some(names)
}
