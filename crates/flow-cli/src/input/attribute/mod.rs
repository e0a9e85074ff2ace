//! Attributes by name, and the two sets of images that differ in one.

mod labels;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use candle_core::Tensor;
use flow_analysis::{
    attribute::{Measure, mostly, on_black_ground, split},
    latent_space::Direction,
};
use flow_data::Dataset;
use flow_glow::{Glow, finite};

use crate::input::{
    classes::{in_words, place},
    image_files::PictureReader,
    select,
    table::Table,
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
    /// The attribute of this name: a column of a file of labels, if it has such a one.
    pub(crate) fn named(name: &str, labels: Option<&Path>) -> Result<Self> {
        if let Some(path) = labels {
            let others = [name.parse::<Measure>().is_ok(), name.contains(':')];
            let is_column = columns(path)?.iter().any(|column| column == name);
            if is_column || !others.contains(&true) {
                return labels::read(path, name);
            }
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

    /// True if the two sets are found among training images.
    pub(crate) fn needs_examples(&self) -> bool {
        !matches!(self, Self::Files(..))
    }

    /// The two sets, among training images unless they are files. Attributes that do not name their
    /// images look for them among at most so many, evenly spread.
    pub(crate) fn contrast(
        &self,
        examples: Option<(&Dataset, usize)>,
        reader: impl FnOnce() -> Result<PictureReader>,
    ) -> Result<Contrast> {
        let all = || examples.context("an attribute without files needs a data set");
        let examples = || Ok::<_, anyhow::Error>(all()?.0);
        let some = || {
            let (all, most) = all()?;
            let mut some = all.clone();
            some.thin_out(most);
            Ok::<_, anyhow::Error>(some)
        };
        match self {
            Self::Measured(measure) => measured(&some()?, *measure),
            Self::Classes(from, to) => classes(&some()?, from, to),
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

impl Contrast {
    /// The direction in latent space from the one set to the other, all images as of one class;
    /// `progress` gets the share of them that is encoded.
    ///
    /// # Errors
    /// If an image has no finite latents.
    pub(crate) fn direction(
        &self,
        model: &Glow,
        class: Option<u32>,
        name: &str,
        progress: impl FnMut(f64),
    ) -> Result<Direction> {
        let of_class = select::of_common_class(&self.from, model.config(), class)?;
        let bound = model.conditioned_on(&of_class)?;
        let direction = Direction::between_with(&bound, &self.from, &self.to, progress)?;
        ensure!(
            finite::bad_rows(&direction.latents().0)? == 0,
            "some of the images that show `{name}` have no finite latents; `flow verify` says why"
        );
        Ok(direction)
    }
}

/// The names of the columns of a file of labels.
pub(crate) fn columns(path: &Path) -> Result<Vec<String>> {
    let table = Table::read(path).with_context(|| format!("cannot use `{}`", path.display()))?;
    let names = table.columns().map(|place| table.name(place).to_owned());
    Ok(names.collect())
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
