//! The programs whose models are read and written, one file each.

mod chrischute;
mod layers;
mod nflows;
mod normflows;
mod prefix;
mod reader;
mod rosinality;
mod y0ast;

use anyhow::{Result, bail, ensure};
use flow_glow::{Conv1x1Form, Peer};

#[cfg(test)]
pub(crate) use nflows::turned;
pub(crate) use prefix::unwrapped;

use crate::export::Export;
use crate::parameters::Model;
use crate::source::Source;
use crate::{Facts, Program};

/// The form of 1×1 convolutions that are plain in the first level and in the last, or are not.
fn conv1x1_form(first: bool, last: bool) -> Result<Conv1x1Form> {
    match (first, last) {
        (true, true) => Ok(Conv1x1Form::Plain),
        (true, false) => Ok(Conv1x1Form::PlainButLast),
        (false, false) => Ok(Conv1x1Form::RotationLowerUpper),
        (false, true) => bail!(
            "only its last level has plain 1×1 convolutions, and all levels or all but the last may"
        ),
    }
}

impl Program {
    /// The prefix of a model of this program, if `name` is that of its first tensor.
    ///
    /// A multi-scale transform of nflows inside a larger one is not the whole model.
    pub(crate) fn prefix(self, name: &str) -> Option<&str> {
        let mut first = self.first_tensor().iter();
        let prefix = first.find_map(|end| prefix::before(name, end))?;
        let is_part = prefix.split('.').any(|part| part.starts_with("_transform"));
        (!is_part).then_some(prefix)
    }

    /// The name by which its models are known, in all places that it can have.
    pub(crate) fn first_tensor(self) -> &'static [&'static str] {
        match self {
            Self::Peer(Peer::Nflows) => &nflows::FIRST_TENSOR,
            Self::Peer(Peer::Rosinality) => &rosinality::FIRST_TENSOR,
            Self::Peer(Peer::Normflows) => &normflows::FIRST_TENSOR,
            Self::Y0ast => &y0ast::FIRST_TENSOR,
            Self::Chrischute => &chrischute::FIRST_TENSOR,
        }
    }

    /// The model of a state dict, all of which has to belong to it.
    pub(crate) fn read(self, mut source: Source, facts: &Facts) -> Result<Model> {
        let model = match self {
            Self::Peer(Peer::Nflows) => reader::read::<nflows::Nflows>(&mut source, facts),
            Self::Peer(Peer::Rosinality) => {
                reader::read::<rosinality::Rosinality>(&mut source, facts)
            }
            Self::Peer(Peer::Normflows) => reader::read::<normflows::Normflows>(&mut source, facts),
            Self::Y0ast => reader::read::<y0ast::Y0ast>(&mut source, facts),
            Self::Chrischute => reader::read::<chrischute::Chrischute>(&mut source, facts),
        }?;
        source.finish()?;
        Ok(model)
    }
}

/// The state dict of a model for a peer.
///
/// # Errors
/// If the peer has no such models; the error names every obstacle with its remedy.
pub(crate) fn write(peer: Peer, model: &Model) -> Result<Export> {
    let obstacles = peer.obstacles(&model.config).into_iter();
    let obstacles: Vec<_> = obstacles
        .map(|setting| format!("`{}` ({})", setting.name(), peer.remedy(setting)))
        .collect();
    let name = peer.as_str();
    ensure!(
        obstacles.is_empty(),
        "{name} has no models with these settings: {}; in brackets what `flow train` avoids each with; \
         `flow train --for {name}` avoids all",
        obstacles.join(", ")
    );
    match peer {
        Peer::Nflows => nflows::write(model),
        Peer::Rosinality => rosinality::write(model),
        Peer::Normflows => normflows::write(model),
    }
}
