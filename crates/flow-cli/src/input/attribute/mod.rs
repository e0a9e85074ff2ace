//! Attributes by name, and the two sets of images that differ in one.

mod labels;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use candle_core::Tensor;
use flow_analysis::attribute::{Measure, mostly, on_black_ground, split};
use flow_data::Dataset;

use crate::input::{
    classes::{in_words, place},
    image_files::PictureReader,
    select,
};

/// A property by which two sets of images differ.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Attribute {
    /// A number that can be measured.
    Measured(Measure),
    /// Two classes.
    Classes(String, String),
    /// Files with less of the attribute and with more.
    Files(Vec<PathBuf>, Vec<PathBuf>),
    /// Places in a data set of images with less of it and with more.
    Places(Vec<usize>, Vec<usize>),
}

/// u8 images `[N, C, H, W]` with less and with more of an attribute.
pub(crate) struct Contrast {
    /// Those with less.
    pub(crate) from: Tensor,
    /// Those with more.
    pub(crate) to: Tensor,
}

impl Attribute {
    /// The attribute of this name: a column if there is a file of labels.
    pub(crate) fn named(name: &str, labels: Option<&Path>) -> Result<Self> {
        if let Some(path) = labels {
            return labels::read(path, name);
        }
        if let Ok(measure) = name.parse() {
            return Ok(Self::Measured(measure));
        }
        match name.split_once(':') {
            Some((from, to)) if !from.is_empty() && !to.is_empty() => {
                Ok(Self::Classes(from.to_owned(), to.to_owned()))
            }
            _ => bail!(
                "there is no attribute `{name}`: choose thickness, slant, width, brightness or two classes \
                 such as 4:9, or give `--labels` with a column of that name"
            ),
        }
    }

    /// True if the two sets are found in a whole data set; other attributes name their images.
    pub(crate) fn needs_dataset(&self) -> bool {
        matches!(self, Self::Measured(_) | Self::Classes(..))
    }

    /// The two sets, among `examples` unless they are files.
    pub(crate) fn contrast(
        &self,
        examples: Option<&Dataset>,
        reader: impl FnOnce() -> Result<PictureReader>,
    ) -> Result<Contrast> {
        let examples = || examples.context("an attribute without files needs a data set");
        match self {
            Self::Measured(measure) => measured(examples()?, *measure),
            Self::Classes(from, to) => classes(examples()?, from, to),
            Self::Files(from, to) => {
                let reader = reader()?;
                let (from, to) = (reader.read(from)?, reader.read(to)?);
                Ok(Contrast { from, to })
            }
            Self::Places(from, to) => Ok(Contrast {
                from: select::by_index(examples()?, from)?,
                to: select::by_index(examples()?, to)?,
            }),
        }
    }
}

fn measured(examples: &Dataset, measure: Measure) -> Result<Contrast> {
    let images = examples.all()?.images;
    ensure!(
        !measure.needs_black_ground() || mostly(&on_black_ground(&images)?),
        "{measure} measures bright strokes on black, and the images of `{}` have no black ground; \
         choose brightness, two classes{}, or `--labels`",
        examples.name(),
        examples
            .class_names()
            .get(..2)
            .map(|names| format!(" such as {}", names.join(":")))
            .unwrap_or_default()
    );
    let values = measure.of(&images)?;
    let values = values.into_iter().enumerate();
    let values = values.filter_map(|(image, value)| Some((image, value?)));
    let (from, to) = split(&values.collect::<Vec<_>>(), measure.as_str())?;
    Ok(Contrast {
        from: select::by_index(examples, &from)?,
        to: select::by_index(examples, &to)?,
    })
}

fn classes(examples: &Dataset, from: &str, to: &str) -> Result<Contrast> {
    ensure!(from != to, "class {from} appears twice; name two classes");
    ensure!(
        examples.classes() > 0,
        "the images of `{}` have no classes; name another attribute",
        examples.name()
    );
    let names = examples.class_names();
    let labels = examples.labels();
    let of = |class: &str| {
        let number = place(names, class);
        ensure!(
            number.is_some_and(|number| (number as usize) < names.len()),
            "there is no class {class} in `{}`: its classes are {}",
            examples.name(),
            in_words(names.len(), names)
        );
        let images = (0..labels.len()).filter(|&image| Some(labels[image]) == number);
        let images = images.collect::<Vec<_>>();
        ensure!(
            !images.is_empty(),
            "there is no image of class {class} among {} training images of `{}`",
            labels.len(),
            examples.name()
        );
        select::by_index(examples, &images)
    };
    Ok(Contrast {
        from: of(from)?,
        to: of(to)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_understood() {
        let named = |name| Attribute::named(name, None).ok();
        assert_eq!(named("slant"), Some(Attribute::Measured(Measure::Slant)));
        let classes = Attribute::Classes("4".to_owned(), "ankle boot".to_owned());
        assert_eq!(named("4:ankle boot"), Some(classes));
        assert!(named("4:").is_none() && named("smile").is_none());

        // A column comes before a measure of the same name.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.csv");
        std::fs::write(&path, "slant,index\n1,7\n,8\n0,9\n").unwrap();
        let column = Attribute::named("slant", Some(&path)).unwrap();
        assert_eq!(column, Attribute::Places(vec![9], vec![7]));
    }
}
