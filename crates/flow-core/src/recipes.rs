//! Proven flows of vectors, in one call each.
//!
//! All end at a standard normal, and begin near the identity, so fresh flows draw nearly that
//! normal. Data and contexts should be of the order of 1: put [`Whiten::fit`](crate::Whiten::fit)
//! before the flow with [`Flow::after`].

use crate::distribution::StandardNormal;
use crate::ops::spline::Spline;
use crate::params::ParamBuilder;
use crate::{
    ActNorm, Affine, Autoregressive, Bijection, Chain, Coupling, Flow, LuLinear, Mlp, MlpSize,
    Order, Passing, Permutation, Result, ScaleMap, Transform,
};
use candle_core::bail;

/// The sizes of a flow of vectors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    /// Number of couplings or autoregressive layers.
    pub layers: usize,
    /// Width of their networks.
    pub width: usize,
    /// Residual blocks of their networks.
    pub blocks: usize,
    /// Size of the context of a sample; 0 for an unconditional flow.
    pub context: usize,
    /// The spline of spline flows.
    pub spline: Spline,
}

impl Default for Recipe {
    /// 5 layers with 2 blocks of width 64, no context.
    fn default() -> Self {
        Self {
            layers: 5,
            width: 64,
            blocks: 2,
            context: 0,
            spline: Spline::default(),
        }
    }
}

/// Bounded, so that a few steps cannot make a scale enormous.
const AFFINE: Affine = Affine(ScaleMap::ExpTanh { bound: 3.0 }, Order::ScaleFirst);

impl Recipe {
    fn network(&self) -> MlpSize {
        MlpSize {
            width: self.width,
            blocks: self.blocks,
            context: self.context,
        }
    }
}

/// Affine couplings of alternating halves, each after an ActNorm (Dinh et al. 2017,
/// arXiv:1605.08803), with |ln s| at most 3. `features` ≥ 2. Parameters
/// `LAYER.{actnorm,coupling}.…`.
pub fn realnvp(features: usize, recipe: &Recipe, params: ParamBuilder) -> Result<Flow<Chain>> {
    flow(features, recipe, &params, |index, params| {
        Ok(vec![
            Box::new(ActNorm::new(features, params.pp("actnorm"))?),
            coupling(features, index, AFFINE, recipe, params.pp("coupling"))?,
        ])
    })
}

/// Spline couplings of alternating halves, each after an LU linear map (Durkan et al. 2019,
/// arXiv:1906.04032). `features` ≥ 2. Parameters `LAYER.{linear,coupling}.…`.
pub fn neural_spline_flow(
    features: usize,
    recipe: &Recipe,
    params: ParamBuilder,
) -> Result<Flow<Chain>> {
    flow(features, recipe, &params, |index, params| {
        Ok(vec![
            Box::new(LuLinear::new(features, params.pp("linear"))?),
            coupling(
                features,
                index,
                recipe.spline,
                recipe,
                params.pp("coupling"),
            )?,
        ])
    })
}

/// Affine autoregressive layers, with the order reversed before each (Papamakarios et al. 2017,
/// arXiv:1705.07057). Parameters `LAYER.made.…`.
pub fn masked_autoregressive_flow(
    features: usize,
    recipe: &Recipe,
    params: ParamBuilder,
) -> Result<Flow<Chain>> {
    flow(features, recipe, &params, |_, params| {
        let made = Autoregressive::new(features, AFFINE, recipe.network(), params.pp("made"))?;
        Ok(vec![
            Box::new(Permutation::reverse(features)),
            Box::new(made),
        ])
    })
}

fn flow(
    features: usize,
    recipe: &Recipe,
    params: &ParamBuilder,
    layer: impl Fn(usize, ParamBuilder) -> Result<Vec<Box<dyn Bijection>>>,
) -> Result<Flow<Chain>> {
    let mut parts = Vec::new();
    for index in 0..recipe.layers {
        parts.extend(layer(index, params.pp(index))?);
    }
    let base = StandardNormal::new(features, params.dtype(), params.device());
    Ok(Flow::new(Chain::new(parts)?, base))
}

fn coupling(
    features: usize,
    index: usize,
    transform: impl Transform + 'static,
    recipe: &Recipe,
    params: ParamBuilder,
) -> Result<Box<dyn Bijection>> {
    if features < 2 {
        bail!("recipe: couplings need at least 2 numbers, not {features}");
    }
    let passing = [Passing::FirstHalf, Passing::SecondHalf][index % 2];
    let count = passing.count(features);
    let network = Mlp::for_transform(
        &transform,
        count,
        features - count,
        recipe.network(),
        params,
    )?;
    Ok(Box::new(Coupling::new(transform, passing, network)))
}
