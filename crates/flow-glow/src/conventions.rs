//! Where implementations of Glow differ in what no change of the weights can make up for.
//!
//! The default of every setting is what this project trains as the paper's; smaller presets have a top prior by
//! element. The others exist so that a model trained by another program is the same function here, not nearly the
//! same.

use flow_core::{MatrixForm, Order, Passing};
use serde::{Deserialize, Serialize};

/// The conventions of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conventions {
    /// What the 1×1 convolutions are made of.
    pub conv1x1: Conv1x1Form,
    /// What stands between the last step of a level and its split.
    pub level_end: LevelEnd,
    /// Which channels pass the couplings.
    pub passing: Passing,
    /// Whether every other step of a level passes the other channels.
    pub alternating: bool,
    /// Whether affine couplings shift or scale first.
    pub affine_order: Order,
    /// What happens to the input of the coupling networks first.
    pub network_input: NetworkInput,
    /// What lies around images for the last convolution of a coupling network and those of priors.
    pub padding: Padding,
    /// Which half of the channels a split keeps for the next level.
    pub split_keeps: Half,
    /// The prior of what the splits take out.
    pub split_prior: PriorForm,
    /// The prior of what the last level leaves.
    pub top_prior: PriorForm,
}

impl Default for Conventions {
    fn default() -> Self {
        Self {
            conv1x1: Conv1x1Form::RotationLowerUpper,
            level_end: LevelEnd::Bare,
            passing: Passing::FirstHalf,
            alternating: false,
            affine_order: Order::ShiftFirst,
            network_input: NetworkInput::Plain,
            padding: Padding::Zeros,
            split_keeps: Half::First,
            split_prior: PriorForm::Convolution,
            top_prior: PriorForm::Channel,
        }
    }
}

/// The matrices of 1×1 convolutions: one [`flow_core::MatrixForm`] for all levels, or another for
/// the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conv1x1Form {
    /// Q·L·U.
    RotationLowerUpper,
    /// L·U·Q, and a bias: nflows'.
    LowerUpperRotation,
    /// A plain matrix.
    Plain,
    /// A plain matrix, but Q·L·U in the last level: rosinality's without LU, which forgets that level.
    PlainButLast,
}

/// What stands between the last step of a level and its split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LevelEnd {
    /// Nothing.
    Bare,
    /// A 1×1 convolution: bayesiains/nsf's.
    Conv1x1,
}

/// What happens to the input of the coupling networks before the first convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkInput {
    /// Nothing.
    Plain,
    /// relu(scale ⊙ x + shift): chrischute's batch normalisation, once it is trained.
    AffineRelu,
}

/// What lies around images for convolutions that start at zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Padding {
    /// Zeros.
    Zeros,
    /// Ones: rosinality's, by which a network can see the border.
    Ones,
}

/// A half of the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Half {
    First,
    Second,
}

/// Gaussian of a latent; where there is a condition, those of `Channel` and `Element` depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PriorForm {
    /// The standard normal.
    Standard,
    /// A mean and a standard deviation for each channel.
    Channel,
    /// A mean and a standard deviation for each number.
    Element,
    /// What a convolution makes of the half that is kept; at the top, of zeros.
    Convolution,
}

impl PriorForm {
    /// True if it can depend on a condition.
    pub(crate) fn knows_conditions(self) -> bool {
        matches!(self, Self::Channel | Self::Element)
    }
}

impl Conventions {
    /// The form of the 1×1 convolutions of a level.
    pub(crate) fn matrix_form(&self, last_level: bool) -> MatrixForm {
        match self.conv1x1 {
            Conv1x1Form::LowerUpperRotation => MatrixForm::LowerUpperRotation,
            Conv1x1Form::Plain => MatrixForm::Plain,
            Conv1x1Form::PlainButLast if !last_level => MatrixForm::Plain,
            Conv1x1Form::RotationLowerUpper | Conv1x1Form::PlainButLast => {
                MatrixForm::RotationLowerUpper
            }
        }
    }

    /// The channels that pass the coupling of step `step` of a level.
    pub fn passing(&self, step: usize) -> Passing {
        if self.alternating && step % 2 == 1 {
            self.passing.complement()
        } else {
            self.passing
        }
    }
}
