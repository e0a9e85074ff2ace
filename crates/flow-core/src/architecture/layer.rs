//! Layers of an architecture.

use crate::params::ParamBuilder;
use crate::{
    ActNorm, Autoregressive, Bijection, ColumnMap, Columnwise, Coupling, ElementwiseAffine,
    Inverse, LuLinear, Mlp, MlpSize, Permutation, Planar, Radial, Result, Transform, Whiten,
};
use candle_core::{Tensor, bail};
use std::f64::consts::TAU;

use super::{Mask, TransformKind};

/// A bijection of vectors without its parameters.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)
)]
pub enum Layer {
    /// [`ActNorm`].
    ActNorm,
    /// [`ElementwiseAffine`].
    ElementwiseAffine,
    /// [`LuLinear`].
    LuLinear,
    /// [`Permutation::reverse`].
    Reverse,
    /// [`Permutation::new`].
    Permutation {
        /// The number of the input that each number of the output is.
        order: Vec<u32>,
    },
    /// [`Whiten`] by fixed numbers, such as those of [`Whiten::fit`].
    Whiten {
        /// The mean of each number.
        mean: Vec<f64>,
        /// ln of the standard deviation of each number.
        log_std: Vec<f64>,
    },
    /// [`Columnwise`].
    Columnwise {
        /// The map of each column.
        maps: Vec<ColumnMap>,
    },
    /// [`Planar`].
    Planar,
    /// [`Radial`].
    Radial,
    /// [`Coupling`] by an [`Mlp`].
    Coupling {
        /// The transform of the numbers that do not pass.
        transform: TransformKind,
        /// The numbers that pass.
        passing: Mask,
        /// Sizes of the network.
        network: MlpSize,
    },
    /// [`Autoregressive`].
    Autoregressive {
        /// The transform of every number.
        transform: TransformKind,
        /// The order of the numbers; `None` for 0, 1, …
        #[cfg_attr(
            feature = "serde",
            serde(default, skip_serializing_if = "Option::is_none")
        )]
        order: Option<Vec<u32>>,
        /// Sizes of the network.
        network: MlpSize,
    },
    /// A coupling or autoregressive layer whose network receives cosine and sine of angles, as by
    /// [`PeriodicFeatures`](crate::PeriodicFeatures).
    Periodic {
        /// The numbers that are angles in radians, before the layer and behind it.
        angles: Vec<usize>,
        /// The layer.
        of: Box<Layer>,
    },
    /// The [`Inverse`] of a layer: an autoregressive one draws samples in one pass.
    Inverse {
        /// The layer.
        of: Box<Layer>,
    },
}

impl Layer {
    /// The most numbers of one kind that building it makes before it asks for parameters.
    #[cfg(feature = "file")]
    pub(super) fn largest(&self, features: usize) -> usize {
        match self {
            Self::Coupling {
                transform, network, ..
            }
            | Self::Autoregressive {
                transform, network, ..
            } => {
                let outputs = features.saturating_mul(transform.parameters());
                outputs.max(network.width).max(network.context)
            }
            Self::Inverse { of } => of.largest(features),
            Self::Periodic { of, .. } => of.largest(features).max(features.saturating_mul(2)),
            _ => features,
        }
    }

    /// The bijection of `features` numbers, with parameters of `params`.
    pub(super) fn build(
        &self,
        features: usize,
        params: ParamBuilder,
    ) -> Result<Box<dyn Bijection>> {
        Ok(match self {
            Self::ActNorm => Box::new(ActNorm::new(features, params)?),
            Self::ElementwiseAffine => Box::new(ElementwiseAffine::new(features, params)?),
            Self::LuLinear => Box::new(LuLinear::new(features, params)?),
            Self::Reverse => Box::new(Permutation::reverse(features)),
            Self::Permutation { order } => {
                check("permutation", order, features)?;
                Box::new(Permutation::new(order.clone())?)
            }
            Self::Whiten { mean, log_std } => Box::new(Whiten::new(
                constants("whiten: mean", mean, features, &params)?,
                constants("whiten: log_std", log_std, features, &params)?,
            )),
            Self::Columnwise { maps } => {
                check("columns", maps, features)?;
                Box::new(Columnwise::new(maps)?)
            }
            Self::Planar => Box::new(Planar::new(features, params)?),
            Self::Radial => Box::new(Radial::new(features, params)?),
            Self::Coupling {
                transform,
                passing,
                network,
            } => coupling(features, transform.transform()?, passing, *network, params)?,
            Self::Autoregressive {
                transform,
                order,
                network,
            } => {
                let transform = transform.transform()?;
                let order = match order {
                    Some(order) => {
                        check("autoregressive: order", order, features)?;
                        order.iter().map(|number| *number as usize).collect()
                    }
                    None => (0..features).collect::<Vec<_>>(),
                };
                let made = Mlp::made(&transform, &order, *network, params)?;
                Box::new(Autoregressive::with_network(&order, transform, made)?)
            }
            Self::Periodic { angles, of } => of.periodic(features, angles, params)?,
            Self::Inverse { of } => Box::new(Inverse(of.build(features, params)?)),
        })
    }

    /// The bijection, whose network receives cosine and sine of `angles`.
    fn periodic(
        &self,
        features: usize,
        angles: &[usize],
        params: ParamBuilder,
    ) -> Result<Box<dyn Bijection>> {
        Ok(match self {
            Self::Coupling {
                transform,
                passing: Mask::Pattern(passing),
                network,
            } => {
                let (transform, passing) = (transform.transform()?, *passing);
                Box::new(Coupling::periodic(
                    features, angles, TAU, transform, passing, *network, params,
                )?)
            }
            Self::Autoregressive {
                transform,
                order: None,
                network,
            } => {
                let transform = transform.transform()?;
                Box::new(Autoregressive::periodic(
                    features, angles, TAU, transform, *network, params,
                )?)
            }
            _ => bail!(
                "periodic: needs a coupling by a pattern, or an autoregressive layer in the order \
                 of the numbers"
            ),
        })
    }
}

fn coupling(
    features: usize,
    transform: Box<dyn Transform>,
    passing: &Mask,
    network: MlpSize,
    params: ParamBuilder,
) -> Result<Box<dyn Bijection>> {
    if features < 2 {
        bail!("coupling: needs at least 2 numbers, not {features}");
    }
    let count = passing.count(features)?;
    let network = Mlp::for_transform(&transform, count, features - count, network, params)?;
    Ok(Box::new(passing.coupling(transform, network)?))
}

/// One row of fixed numbers, `[1, D]`.
pub(super) fn constants(
    name: &str,
    numbers: &[f64],
    features: usize,
    params: &ParamBuilder,
) -> Result<Tensor> {
    check(name, numbers, features)?;
    if let Some(number) = numbers.iter().find(|number| !number.is_finite()) {
        bail!("{name}: {number} is not finite");
    }
    crate::transfer::upload(
        numbers.to_vec(),
        (1, features),
        params.dtype(),
        params.device(),
    )
}

pub(super) fn check<T>(name: &str, numbers: &[T], features: usize) -> Result<()> {
    if numbers.len() != features {
        bail!("{name}: got {} numbers, needed {features}", numbers.len());
    }
    Ok(())
}
