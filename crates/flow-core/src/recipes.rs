//! Flows of vectors that are known to work, in one call each.
//!
//! All end at a standard normal, and begin near the identity, so fresh ones draw nearly that normal. Data should be
//! of the order of 1: put [`Whiten::fit`](crate::Whiten::fit) before them with [`Flow::after`]. So should contexts.

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
    /// Couplings or autoregressive layers.
    pub layers: usize,
    /// Hidden numbers of their networks.
    pub width: usize,
    /// Residual blocks of their networks.
    pub blocks: usize,
    /// Numbers of the context of a sample; 0 for a flow that takes none.
    pub context: usize,
    /// The spline, where there is one.
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

/// No scale that a few steps could make enormous.
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

/// Affine couplings after an ActNorm each, of alternating halves (Dinh et al. 2017, arXiv:1605.08803), with |ln s| at
/// most 3. `features` ≥ 2. Parameters `LAYER.{actnorm,coupling}.…`.
pub fn realnvp(features: usize, recipe: &Recipe, params: ParamBuilder) -> Result<Flow<Chain>> {
    flow(features, recipe, &params, |index, params| {
        Ok(vec![
            Box::new(ActNorm::new(features, params.pp("actnorm"))?),
            coupling(features, index, AFFINE, recipe, params.pp("coupling"))?,
        ])
    })
}

/// Spline couplings of alternating halves after an LU linear each (Durkan et al. 2019, arXiv:1906.04032).
/// `features` ≥ 2. Parameters `LAYER.{linear,coupling}.…`.
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

/// Affine autoregressive layers with the order reversed before each (Papamakarios et al. 2017,
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
