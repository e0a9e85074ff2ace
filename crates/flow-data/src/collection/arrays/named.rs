//! Arrays that names tell apart: images and labels of each part.
//!
//! Names are those that people give (`images`, `labels`, `x_train`, `y_train`), that NumPy gives
//! (`arr_0`, `arr_1`), and those of MedMNIST (`train_images`) and of the downsampled ImageNet
//! (`data`, whose labels count from 1).

use super::{
    super::{Part, names},
    Array, Layout, Source,
    integers::Integers,
    npy::Header,
};

use crate::{Error, Result};

const IMAGES: [&str; 6] = ["images", "image", "x", "data", "arr_0", ""];
const LABELS: [&str; 6] = ["labels", "label", "y", "targets", "target", "arr_1"];

/// An array with its name in small letters.
pub(super) struct Named {
    pub(super) source: Source,
    pub(super) key: String,
    pub(super) header: Header,
}

/// The part that a name tells, and the rest of the name.
fn split(key: &str) -> (Option<Part>, String) {
    let (parts, rest): (Vec<_>, Vec<_>) = key
        .split(['_', '-', '.', ' '])
        .partition(|word| names::part_in(word).is_some());
    let part = parts.first().and_then(|word| names::part_in(word));
    (part, rest.join("_"))
}

/// The arrays of images in a group, which tells `part`, with their labels. Others are left out.
///
/// # Errors
/// No array holds images, two hold those of the same part, labels are of no images, or an array is
/// of another type or shape.
pub(super) fn pair(mut group: Vec<Named>, part: Option<Part>) -> Result<Vec<Array>> {
    let is_alone = group.len() == 1;
    let is_one = |of: &[&str], array: &Named| of.contains(&&*split(&array.key).1);
    let mut labels: Vec<Named> = Vec::new();
    if !is_alone {
        labels = group
            .extract_if(.., |array| is_one(&LABELS, array))
            .collect();
    }
    let (images, others): (Vec<_>, Vec<_>) = group
        .into_iter()
        .partition(|array| is_alone || is_one(&IMAGES, array));
    if let (true, Some(other)) = (images.is_empty(), others.first().or(labels.first())) {
        let reason = "is not known to hold images; call these `images` and their classes \
                      `labels`, with `train_` and `test_` before them if there are both";
        return Err(other.refuse(reason));
    }
    let mut arrays: Vec<Array> = Vec::new();
    for image in images {
        let (own, _) = split(&image.key);
        let is_own = |array: &Named| split(&array.key).0 == own;
        let own_labels = labels
            .extract_if(.., |array| is_own(array))
            .collect::<Vec<_>>();
        let part = own.or(part);
        let key = image.key.clone();
        let array = image.images(own_labels, part)?;
        if let Some(other) = arrays.iter().find(|other| other.part == part) {
            let reason = format!("holds images, as `{}` does", other.key);
            return Err(Named::refuse_key(&array.source, &key, reason));
        }
        arrays.push(array);
    }
    match labels.first() {
        None => Ok(arrays),
        Some(labels) => Err(labels.refuse("holds labels, but there are no images to them")),
    }
}

/// Lets labels begin at 0 where all files are like those of the downsampled ImageNet, which counts
/// from 1.
pub(super) fn count_from_zero(arrays: &mut [Array]) {
    let is_from_one = |array: &Array| {
        let is_row = array.is_rows;
        let labels = array.labels.as_deref();
        is_row && labels.is_some_and(|labels| !labels.contains(&0))
    };
    if arrays.iter().all(is_from_one) {
        let labels = arrays.iter_mut().filter_map(|array| array.labels.as_mut());
        labels.flatten().for_each(|label| *label -= 1);
    }
}

impl Named {
    /// The images of this array, with their labels.
    fn images(self, labels: Vec<Self>, part: Option<Part>) -> Result<Array> {
        self.ensure_plain()?;
        if self.header.dtype.get(1..) != Some("u1") {
            let dtype = &self.header.dtype;
            return Err(self.refuse(other_than_bytes(dtype)));
        }
        let rows = <[usize; 2]>::try_from(&*self.header.shape).ok();
        let rows = rows.filter(|_| split(&self.key).1 == "data");
        let layout = match rows {
            Some(shape) => Layout::of_rows(shape),
            None => Layout::of(&self.header.shape, None),
        };
        let (count, layout) = layout.map_err(|reason| self.refuse(reason))?;
        let labels = match &*labels {
            [] => None,
            [labels] => Some(labels.labels(count)?),
            [_, other, ..] => return Err(other.refuse("is a second array of labels")),
        };
        self.ensure_length(count, layout.bytes())?;
        Ok(Array {
            source: self.source,
            key: self.key,
            part,
            start: self.header.bytes,
            lead: 0,
            layout,
            count,
            labels,
            class_names: None,
            is_rows: rows.is_some(),
        })
    }

    /// The labels of so many images: `[N]` or `[N, 1]`.
    fn labels(&self, count: usize) -> Result<Vec<u32>> {
        self.ensure_plain()?;
        let shape = &self.header.shape;
        if !matches!(**shape, [n] | [n, 1] if n == count) {
            let found = match **shape {
                [n] => format!("holds {n} numbers"),
                _ => format!("is of {} axes", shape.len()),
            };
            let reason = format!("{found}, and labels of {count} images are [{count}]");
            return Err(self.refuse(reason));
        }
        let Some(integers) = integers(&self.header.dtype) else {
            let reason = format!(
                "holds {}, and labels are integers",
                kind(&self.header.dtype)
            );
            return Err(self.refuse(reason));
        };
        self.ensure_length(count, integers.bytes)?;
        let io = |error| Error::io(&self.source.path, error);
        let mut content = self.source.open().map_err(io)?;
        crate::content::skip(&mut content, self.header.bytes).map_err(io)?;
        let labels = integers.read(content, count);
        labels.map_err(|reason| self.refuse(reason))
    }

    pub(super) fn ensure_plain(&self) -> Result<()> {
        if self.header.is_fortran {
            let reason = "is in Fortran's order; save what `numpy.ascontiguousarray` makes of it";
            return Err(self.refuse(reason));
        }
        Ok(())
    }

    fn ensure_length(&self, count: usize, bytes: usize) -> Result<()> {
        let expected = (count as u64).checked_mul(bytes as u64);
        let expected = expected.and_then(|bytes| bytes.checked_add(self.header.bytes));
        self.source.ensure_length(expected.unwrap_or(u64::MAX))
    }

    pub(super) fn refuse(&self, reason: impl std::fmt::Display) -> Error {
        Self::refuse_key(&self.source, &self.key, reason)
    }

    fn refuse_key(source: &Source, key: &str, reason: impl std::fmt::Display) -> Error {
        let reason = if source.is_whole() {
            reason.to_string()
        } else {
            format!("(`{key}`) {reason}")
        };
        Error::format(&source.path, reason)
    }
}

/// The reason why elements are no pixels.
fn other_than_bytes(dtype: &str) -> String {
    let kind = kind(dtype);
    let help = match dtype.as_bytes().get(1) {
        Some(b'f') => "multiply those from 0 to 1 by 255, and round",
        Some(b'O') => "Python objects are never unpacked; save an array of `numpy.uint8`",
        _ => "convert them with `astype(numpy.uint8)`",
    };
    format!("holds {kind}, and pixels are uint8: {help}")
}

/// NumPy's name of a type.
pub(super) fn kind(dtype: &str) -> String {
    let bits = dtype.get(2..).and_then(|bytes| bytes.parse::<u16>().ok());
    let bits = bits.and_then(|bytes| bytes.checked_mul(8)).unwrap_or(0);
    match dtype.as_bytes().get(1) {
        Some(b'f') => format!("float{bits}"),
        Some(b'i') => format!("int{bits}"),
        Some(b'u') => format!("uint{bits}"),
        Some(b'b') => "bool".to_owned(),
        Some(b'O') => "objects".to_owned(),
        Some(b'U' | b'S') => "texts".to_owned(),
        _ => format!("elements of type `{dtype}`"),
    }
}

pub(super) fn integers(dtype: &str) -> Option<Integers> {
    let is_signed = match dtype.as_bytes().get(1)? {
        b'i' => true,
        b'u' => false,
        _ => return None,
    };
    let bytes = dtype.get(2..)?.parse().ok()?;
    matches!(bytes, 1 | 2 | 4 | 8).then_some(Integers {
        bytes,
        is_signed,
        is_big_endian: dtype.starts_with('>'),
    })
}
