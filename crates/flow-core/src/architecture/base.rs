//! Base distributions of an architecture.

use crate::distribution::{
    BoxUniform, ConditionalGaussian, DiagonalGaussian, GaussianMixture, Laplace, Logistic,
    StandardNormal, StudentT, VonMises,
};
use crate::params::ParamBuilder;
use crate::{Bijection, Flow, MlpSize, Result};

/// The distribution of a flow's latents.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)
)]
pub enum Base {
    /// [`StandardNormal`].
    #[default]
    StandardNormal,
    /// [`DiagonalGaussian`], learned.
    DiagonalGaussian,
    /// [`GaussianMixture`], learned.
    GaussianMixture {
        /// The number of Gaussians.
        components: usize,
    },
    /// [`ConditionalGaussian`]: its mean and scale come from the context by a network.
    ConditionalGaussian {
        /// Sizes of the network, and of the context.
        network: MlpSize,
    },
    /// [`StudentT`], for heavy tails.
    StudentT {
        /// Degrees of freedom.
        freedom: f64,
    },
    /// [`Laplace`].
    Laplace,
    /// [`Logistic`].
    Logistic,
    /// [`BoxUniform`], for splines on an interval and for angles.
    BoxUniform {
        /// The lower bound of each number.
        low: Vec<f64>,
        /// The upper bound of each number.
        high: Vec<f64>,
    },
    /// [`VonMises`], for angles.
    VonMises {
        /// The mean of each angle.
        means: Vec<f64>,
        /// The concentration of each angle.
        concentrations: Vec<f64>,
    },
}

impl Base {
    /// The flow of `bijection` with this base, for `features` numbers.
    pub(super) fn flow<B: Bijection>(
        &self,
        bijection: B,
        features: usize,
        params: &ParamBuilder,
    ) -> Result<Flow<B>> {
        let (dtype, device) = (params.dtype(), params.device());
        let params = params.pp("base");
        Ok(match self {
            Self::StandardNormal => {
                Flow::new(bijection, StandardNormal::new(features, dtype, device))
            }
            Self::DiagonalGaussian => {
                Flow::new(bijection, DiagonalGaussian::new(features, params)?)
            }
            Self::GaussianMixture { components } => Flow::new(
                bijection,
                GaussianMixture::new(*components, features, params)?,
            ),
            Self::ConditionalGaussian { network } => Flow::new(
                bijection,
                ConditionalGaussian::new(features, *network, params)?,
            ),
            Self::StudentT { freedom } => {
                Flow::new(bijection, StudentT::new(*freedom, features, dtype, device)?)
            }
            Self::Laplace => Flow::new(bijection, Laplace::new(features, dtype, device)),
            Self::Logistic => Flow::new(bijection, Logistic::new(features, dtype, device)),
            Self::BoxUniform { low, high } => {
                super::layer::check("base", low, features)?;
                Flow::new(bijection, BoxUniform::new(low, high, dtype, device)?)
            }
            Self::VonMises {
                means,
                concentrations,
            } => {
                super::layer::check("base", means, features)?;
                Flow::new(
                    bijection,
                    VonMises::new(means, concentrations, dtype, device)?,
                )
            }
        })
    }

    /// The most numbers of one kind that building it makes before it asks for parameters.
    #[cfg(feature = "file")]
    pub(super) fn largest(&self, features: usize) -> usize {
        match self {
            Self::GaussianMixture { components } => features.saturating_mul(*components),
            Self::ConditionalGaussian { network } => network.width.max(network.context),
            _ => features,
        }
    }

    #[cfg(feature = "serde")]
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
