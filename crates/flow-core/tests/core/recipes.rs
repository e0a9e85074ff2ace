//! Fresh flows of every recipe and size are near the identity.

use candle_core::{DType, Device, Result, Tensor};
use flow_core::distribution::StandardNormal;
use flow_core::params::{ParamBuilder, ParamStore};
use flow_core::recipes::{self, Recipe};
use flow_core::{
    Additive, Affine, Autoregressive, Bijection, Chain, Coupling, Flow, Inverse, Mlp, MlpSize,
    Order, Passing, Permutation, ScaleMap, Transform, random,
};

type Make = fn(usize, &Recipe, ParamBuilder) -> Result<Flow<Chain>>;

/// Recipes, each with a bound on the log-determinant of its fresh flows, per number.
const RECIPES: [(&str, Make, f64); 5] = [
    ("realnvp", recipes::realnvp, 0.05),
    ("nsf", recipes::neural_spline_flow, 0.05),
    ("maf", recipes::masked_autoregressive_flow, 0.05),
    ("iaf of exponentials", inverse_autoregressive, 0.05),
    // Its network leaves the derivatives of splines at ln 2.
    (
        "couplings by a plain network",
        plain_couplings,
        f64::INFINITY,
    ),
];

/// A chain of layers outside the recipes.
fn chain(
    features: usize,
    recipe: &Recipe,
    params: &ParamBuilder,
    layer: impl Fn(usize, MlpSize, ParamBuilder) -> Result<Box<dyn Bijection>>,
) -> Result<Flow<Chain>> {
    let Recipe {
        width,
        blocks,
        context,
        ..
    } = *recipe;
    let size = MlpSize {
        width,
        blocks,
        context,
    };
    let mut parts = Vec::<Box<dyn Bijection>>::new();
    for index in 0..recipe.layers {
        parts.push(layer(index, size, params.pp(index))?);
        parts.push(Box::new(Permutation::reverse(features)));
    }
    let base = StandardNormal::new(features, params.dtype(), params.device());
    Ok(Flow::new(Chain::new(parts)?, base))
}

fn inverse_autoregressive(
    features: usize,
    recipe: &Recipe,
    params: ParamBuilder,
) -> Result<Flow<Chain>> {
    let transform = Affine(ScaleMap::Exp, Order::ShiftFirst);
    chain(features, recipe, &params, |_, size, params| {
        let made = Autoregressive::new(features, transform, size, params)?;
        Ok(Box::new(Inverse(made)))
    })
}

fn plain_couplings(features: usize, recipe: &Recipe, params: ParamBuilder) -> Result<Flow<Chain>> {
    chain(features, recipe, &params, |index, size, params| {
        let transform: Box<dyn Transform> = match index % 3 {
            0 => Box::new(Affine(ScaleMap::Exp, Order::ScaleFirst)),
            1 => Box::new(Additive),
            _ => Box::new(recipe.spline),
        };
        let count = Passing::FirstHalf.count(features);
        let outputs = transform.parameters() * (features - count);
        let network = Mlp::new(count, outputs, size, params)?;
        Ok(Box::new(Coupling::new(
            transform,
            Passing::FirstHalf,
            network,
        )))
    })
}

fn normal(seed: u64, rows: usize, columns: usize) -> Tensor {
    random::normal(seed, (rows, columns), DType::F32, &Device::Cpu).unwrap()
}

fn root_mean_square(x: &Tensor) -> f64 {
    let square = x.to_dtype(DType::F64).unwrap().sqr().unwrap();
    square
        .mean_all()
        .unwrap()
        .to_scalar::<f64>()
        .unwrap()
        .sqrt()
}

/// The log-determinant of `x`, and as many samples.
fn of<B: Bijection>(flow: &Flow<B>, x: &Tensor, seed: u64) -> (Tensor, Tensor) {
    let (_, log_det) = flow.bijection().forward(x).unwrap();
    (log_det, flow.sample(x.dim(0).unwrap(), seed).unwrap())
}

/// Rms of samples, and of the log-determinant of N(0, 1) per number.
fn at_birth(make: Make, features: usize, recipe: &Recipe, seed: u64) -> [f64; 2] {
    let params = ParamStore::new(seed);
    let build = |params: &ParamStore| {
        let builder = params.builder(DType::F32, &Device::Cpu);
        make(features, recipe, builder).unwrap()
    };
    build(&params);
    let flow = build(&params.frozen());
    let count = 512;
    let x = normal(seed, count, features);
    let (log_det, samples) = if recipe.context == 0 {
        of(&flow, &x, seed)
    } else {
        let context = normal(!seed, count, recipe.context);
        of(&flow.given(&context).unwrap(), &x, seed)
    };
    [
        root_mean_square(&samples),
        root_mean_square(&log_det) / features as f64,
    ]
}

#[test]
fn fresh_flows_are_near_the_identity() {
    let sizes = [(2, 1), (2, 20), (3, 20), (10, 6), (100, 20)];
    for (name, make, bound) in RECIPES {
        for (features, layers) in sizes {
            for (seed, context) in [(0, 0), (1, 3)] {
                let recipe = Recipe {
                    layers,
                    context,
                    // A masked network needs a hidden unit for every dependency.
                    width: features.max(Recipe::default().width),
                    ..Recipe::default()
                };
                let [samples, log_det] = at_birth(make, features, &recipe, seed);
                let case =
                    format!("{name}, {features} features, {layers} layers, context {context}");
                assert!((samples - 1.0).abs() < 0.1, "{case}: rms {samples}");
                assert!(log_det < bound, "{case}: log-determinants {log_det}");
            }
        }
    }
}
