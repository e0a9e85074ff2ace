//! Activation functions of networks of vectors.

use super::elementary::sigmoid;
use candle_core::{Result, Tensor};

/// Activation function of a network.
///
/// The identity and the ReLU are fused with the product that follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
pub enum Activation {
    /// x.
    Identity,
    /// max(x, 0).
    #[default]
    Relu,
    /// tanh x.
    Tanh,
    /// x, or eˣ − 1 below 0 (Clevert et al. 2016, arXiv:1511.07289).
    Elu,
    /// x·σ(x) (Elfwing et al. 2018, arXiv:1702.03118).
    Silu,
    /// x·Φ(x), with the normal distribution Φ (Hendrycks & Gimpel 2016, arXiv:1606.08415).
    Gelu,
}

impl Activation {
    /// The function of every number of `x`.
    ///
    /// # Errors
    /// If the type of `x` is not of floating-point numbers.
    pub fn apply(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Identity => Ok(x.clone()),
            Self::Relu => x.relu(),
            Self::Tanh => x.tanh(),
            // The exponential of positive numbers could overflow, and spoil gradients.
            Self::Elu => x.relu()? + (x.neg()?.relu()?.neg()?.exp()? - 1.0)?,
            Self::Silu => x * sigmoid(x)?,
            Self::Gelu => x.gelu_erf(),
        }
    }
}
