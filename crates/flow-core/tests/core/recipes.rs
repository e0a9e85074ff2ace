//! Fresh flows of every recipe and size are near the identity.

use candle_core::{DType, Device, Result, Tensor};
use flow_core::distribution::StandardNormal;
use flow_core::params::{ParamBuilder, ParamStore};
use flow_core::recipes::{self, Recipe};
use flow_core::{
    Additive, Affine, Autoregressive, Bijection, Chain, Coupling, Flow, Inverse, Mlp, MlpSize,
    Order, Passing, Permutation, ScaleMap, Spline, Transform, random,
};

/// Sizes of a flow.
#[derive(Clone, Copy)]
struct Sizes {
    features: usize,
    layers: usize,
    network: MlpSize,
}

type Make = Box<dyn Fn(Sizes, &ParamBuilder) -> Result<Flow>>;

/// Flows, each with a bound on the log-determinant of its fresh ones, per number.
fn flows() -> Vec<(&'static str, Make, f64)> {
    let plain = |features| recipes::masked_autoregressive_flow(features).residual(false);
    let plain = ("maf by plain networks", plain as fn(usize) -> Recipe);
    let recipes = recipes::ALL.into_iter().chain([plain]);
    let mut flows = recipes
        .map(|(name, recipe)| {
            let make: Make = Box::new(move |sizes, params| sizes.flow(recipe, params));
            (name, make, 0.05)
        })
        .collect::<Vec<_>>();
    flows.push((
        "iaf of exponentials",
        Box::new(inverse_autoregressive),
        0.05,
    ));
    // Its network leaves the derivatives of splines at ln 2.
    let plain = Box::new(plain_couplings);
    flows.push(("couplings by a plain network", plain, f64::INFINITY));
    flows
}

impl Sizes {
    fn flow(self, recipe: fn(usize) -> Recipe, params: &ParamBuilder) -> Result<Flow> {
        let MlpSize { width, context, .. } = self.network;
        let recipe = recipe(self.features).layers(self.layers);
        recipe.width(width).context(context).flow(params)
    }

    /// A chain of layers outside the recipes.
    fn chain(
        self,
        params: &ParamBuilder,
        layer: impl Fn(usize, ParamBuilder) -> Result<Box<dyn Bijection>>,
    ) -> Result<Flow> {
        let mut parts = Vec::<Box<dyn Bijection>>::new();
        for index in 0..self.layers {
            parts.push(layer(index, params.pp(index))?);
            parts.push(Box::new(Permutation::reverse(self.features)));
        }
        let base = StandardNormal::new(self.features, params.dtype(), params.device());
        Ok(Flow::new(Box::new(Chain::new(parts)?), base))
    }
}

fn inverse_autoregressive(sizes: Sizes, params: &ParamBuilder) -> Result<Flow> {
    let transform = Affine(ScaleMap::Exp, Order::ShiftFirst);
    sizes.chain(params, |_, params| {
        let made = Autoregressive::new(sizes.features, transform, sizes.network, params)?;
        Ok(Box::new(Inverse(made)))
    })
}

fn plain_couplings(sizes: Sizes, params: &ParamBuilder) -> Result<Flow> {
    let Sizes {
        features,
        network: size,
        ..
    } = sizes;
    sizes.chain(params, |index, params| {
        let transform: Box<dyn Transform> = match index % 3 {
            0 => Box::new(Affine(ScaleMap::Exp, Order::ScaleFirst)),
            1 => Box::new(Additive),
            _ => Box::new(Spline::default()),
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
fn at_birth(make: &Make, sizes: Sizes, seed: u64) -> [f64; 2] {
    let params = ParamStore::new(seed);
    let build = |params: &ParamStore| {
        let builder = params.builder(DType::F32, &Device::Cpu);
        make(sizes, &builder).unwrap()
    };
    let Sizes {
        features, network, ..
    } = sizes;
    build(&params);
    let flow = build(&params.frozen());
    let count = 512;
    let x = normal(seed, count, features);
    let (log_det, samples) = if network.context == 0 {
        of(&flow, &x, seed)
    } else {
        let context = normal(!seed, count, network.context);
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
    for (name, make, bound) in flows() {
        for (features, layers) in sizes {
            for (seed, context) in [(0, 0), (1, 3)] {
                let default = MlpSize::default();
                let network = MlpSize {
                    // A masked network needs a hidden unit for every dependency.
                    width: features.max(default.width),
                    context,
                    ..default
                };
                let sizes = Sizes {
                    features,
                    layers,
                    network,
                };
                let [samples, log_det] = at_birth(&make, sizes, seed);
                let case =
                    format!("{name}, {features} features, {layers} layers, context {context}");
                assert!((samples - 1.0).abs() < 0.1, "{case}: rms {samples}");
                assert!(log_det < bound, "{case}: log-determinants {log_det}");
            }
        }
    }
}
