//! Programs with Glows of their own.

use std::str::FromStr;

use anyhow::anyhow;
use flow_glow::Peer;
use serde::{Deserialize, Deserializer, de};

use crate::{Error, Result};

/// A program whose models [`read`](crate::read) knows; [`export`](crate::export) writes for a
/// [`Peer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// One whose models are written too.
    Peer(Peer),
    /// y0ast/Glow-PyTorch, and programs that descend from it.
    Y0ast,
    /// chrischute/glow.
    Chrischute,
}

impl Program {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Peer(Peer::Nflows),
        Self::Peer(Peer::Rosinality),
        Self::Peer(Peer::Normflows),
        Self::Y0ast,
        Self::Chrischute,
    ];

    /// Its name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Peer(peer) => peer.as_str(),
            Self::Y0ast => "y0ast",
            Self::Chrischute => "chrischute",
        }
    }
}

impl FromStr for Program {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL
            .into_iter()
            .find(|program| program.as_str() == text);
        let unknown = || Error(anyhow!("`{text}` is not a known program"));
        found.ok_or_else(unknown)
    }
}

impl<'de> Deserialize<'de> for Program {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(de::Error::custom)
    }
}
