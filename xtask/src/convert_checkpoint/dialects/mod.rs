//! The programs whose models are read and written, one file each.

mod chrischute;
mod export;
mod nflows;
mod normflows;
mod rosinality;
mod y0ast;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use flow_glow::Conv1x1Form;

pub(super) use export::Export;

use super::facts::Facts;
use super::parameters::Model;
use super::source::Source;

/// The form of 1×1 convolutions that are plain in the first level and in the last, or are not.
fn conv1x1_form(first: bool, last: bool) -> Result<Conv1x1Form> {
    match (first, last) {
        (true, true) => Ok(Conv1x1Form::Plain),
        (true, false) => Ok(Conv1x1Form::PlainButLast),
        (false, false) => Ok(Conv1x1Form::RotationLowerUpper),
        (false, true) => bail!("the 1×1 convolutions of its last level alone are no factors"),
    }
}

/// A program whose state dicts are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Dialect {
    Nflows,
    Rosinality,
    Normflows,
    Y0ast,
    Chrischute,
}

/// A program that state dicts are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Peer {
    Nflows,
    Rosinality,
    Normflows,
}

impl Dialect {
    const ALL: [Self; 5] = [
        Self::Nflows,
        Self::Rosinality,
        Self::Normflows,
        Self::Y0ast,
        Self::Chrischute,
    ];

    /// The program that uses such names.
    pub(super) fn recognise(source: &Source) -> Result<Self> {
        let mut all = Self::ALL.into_iter();
        let found = all.find(|dialect| dialect.recognises(source));
        found.with_context(|| {
            let example = source.names().next().unwrap_or_default();
            format!("no program that is known names its tensors like `{example}`")
        })
    }

    fn recognises(self, source: &Source) -> bool {
        match self {
            Self::Nflows => nflows::recognises(source),
            Self::Rosinality => rosinality::recognises(source),
            Self::Normflows => normflows::recognises(source),
            Self::Y0ast => y0ast::recognises(source),
            Self::Chrischute => chrischute::recognises(source),
        }
    }

    /// The model of a state dict, all of which has to belong to it.
    pub(super) fn read(self, mut source: Source, facts: &Facts) -> Result<Model> {
        let model = match self {
            Self::Nflows => nflows::read(&mut source, facts),
            Self::Rosinality => rosinality::read(&mut source, facts),
            Self::Normflows => normflows::read(&mut source, facts),
            Self::Y0ast => y0ast::read(&mut source, facts),
            Self::Chrischute => chrischute::read(&mut source, facts),
        }?;
        source.finish()?;
        Ok(model)
    }
}

impl Peer {
    /// The state dict of a model.
    ///
    /// # Errors
    /// If the program has no such models.
    pub(super) fn write(self, model: &Model) -> Result<Export> {
        match self {
            Self::Nflows => nflows::write(model),
            Self::Rosinality => rosinality::write(model),
            Self::Normflows => normflows::write(model),
        }
    }
}
