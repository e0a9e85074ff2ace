//! Conventions: differences between implementations of Glow that weights cannot compensate.
//!
//! The defaults are the paper's model as this project trains it; smaller presets have a top prior
//! for each element. The others make a model of another program exactly the same function here.

use flow_core::{MatrixForm, Order, Passing};
use serde::{Deserialize, Serialize};

/// The conventions of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conventions {
    /// Factorisation of the 1×1 convolutions.
    pub conv1x1: Conv1x1Form,
    /// Layer between the last step of a level and its split.
    pub level_end: LevelEnd,
    /// Channels that pass the couplings unchanged.
    pub passing: Passing,
    /// True if every other step of a level passes the other channels.
    pub alternating: bool,
    /// Order of shift and scale in affine couplings.
    pub affine_order: Order,
    /// Map applied to the input of the coupling networks.
    pub network_input: NetworkInput,
    /// Padding of the last convolution of coupling networks and of priors.
    pub padding: Padding,
    /// Half of the channels that a split keeps for the next level.
    pub split_keeps: Half,
    /// Prior of the latents that splits factor out.
    pub split_prior: PriorForm,
    /// Prior of the last level's output.
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
    /// A plain matrix, but Q·L·U in the last level, as rosinality without LU.
    PlainButLast,
}

/// Layer between the last step of a level and its split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LevelEnd {
    /// Nothing.
    Bare,
    /// A 1×1 convolution: bayesiains/nsf's.
    Conv1x1,
}

/// Map applied to the input of the coupling networks before the first convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkInput {
    /// Nothing.
    Plain,
    /// relu(scale ⊙ x + shift): chrischute's batch normalisation, after training.
    AffineRelu,
}

/// Padding of the zero-initialised convolutions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Padding {
    /// Zeros.
    Zeros,
    /// Ones: rosinality's, which show the border to the network.
    Ones,
}

/// Half of the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Half {
    First,
    Second,
}

/// Gaussian of a latent. `Channel` and `Element` can depend on a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PriorForm {
    /// The standard normal.
    Standard,
    /// A mean and a standard deviation for each channel.
    Channel,
    /// A mean and a standard deviation for each element.
    Element,
    /// Predicted by a convolution from the half that is kept; at the top, from zeros.
    Convolution,
}

impl PriorForm {
    /// True if the prior can depend on a condition.
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

    /// The channels that the coupling of step `step` passes unchanged.
    pub fn passing(&self, step: usize) -> Passing {
        if self.alternating && step % 2 == 1 {
            self.passing.complement()
        } else {
            self.passing
        }
    }
}
