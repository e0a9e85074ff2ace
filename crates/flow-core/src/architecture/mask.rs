//! Masks of couplings in an architecture.

use super::layer::check;
use crate::{Conditioner, Coupling, Passing, Result, Transform};

/// The numbers that pass a coupling.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(untagged)
)]
pub enum Mask {
    /// A pattern, for any number of features.
    Pattern(Passing),
    /// True for every number that passes.
    Numbers(Vec<bool>),
}

impl Mask {
    /// Number of passing ones among `features` numbers.
    ///
    /// # Errors
    /// If the mask is of another number of features.
    pub(super) fn count(&self, features: usize) -> Result<usize> {
        match self {
            Self::Pattern(passing) => Ok(passing.count(features)),
            Self::Numbers(mask) => {
                check("coupling: mask", mask, features)?;
                Ok(mask.iter().filter(|passes| **passes).count())
            }
        }
    }

    /// The coupling of these numbers.
    ///
    /// # Errors
    /// If all numbers pass, or none does.
    pub(super) fn coupling<T: Transform, N: Conditioner>(
        &self,
        transform: T,
        network: N,
    ) -> Result<Coupling<T, N>> {
        match self {
            Self::Pattern(passing) => Ok(Coupling::new(transform, *passing, network)),
            Self::Numbers(mask) => Coupling::masked(transform, mask, network),
        }
    }
}

impl From<Passing> for Mask {
    fn from(passing: Passing) -> Self {
        Self::Pattern(passing)
    }
}

impl From<Vec<bool>> for Mask {
    fn from(mask: Vec<bool>) -> Self {
        Self::Numbers(mask)
    }
}
