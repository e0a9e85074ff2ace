//! Variational inference: an inverse autoregressive flow learns a posterior from its unnormalised
//! density alone.
//!
//! `cargo run -p flow-core --example 05_variational_inference`
#![allow(clippy::print_stdout)]

use candle_core::{DType, Device, Result, Tensor};
use flow_core::distribution::StandardNormal;
use flow_core::params::ParamStore;
use flow_core::train::{LossGradient, MemoryStore, Optimization, Steps};
use flow_core::{
    Affine, Autoregressive, Bijection, Chain, Flow, Inverse, MlpSize, Order, Permutation, ScaleMap,
};
use std::f64::consts::PI;

const STEPS: u64 = 800;

/// A banana, b₁ ~ N(0, 1) and b₂ ~ N(b₁², 0.5²), without its normaliser.
fn log_density(x: &Tensor) -> Result<Tensor> {
    let (first, second) = (x.narrow(1, 0, 1)?, x.narrow(1, 1, 1)?);
    let bend = ((second - first.sqr()?)? / 0.5)?;
    ((first.sqr()? + bend.sqr()?)? * -0.5)?.squeeze(1)
}

fn main() -> Result<()> {
    let params = ParamStore::new(0);
    let builder = params.builder(DType::F32, &Device::Cpu);
    let transform = Affine(ScaleMap::ExpTanh { bound: 2.0 }, Order::ScaleFirst);
    let size = MlpSize {
        width: 32,
        ..MlpSize::default()
    };
    let mut parts = Vec::<Box<dyn Bijection>>::new();
    for layer in 0..4 {
        // The inverse of an autoregressive flow draws samples in one pass.
        parts.push(Box::new(Inverse(Autoregressive::new(
            2,
            transform,
            size,
            builder.pp(layer),
        )?)));
        parts.push(Box::new(Permutation::reverse(2)));
    }
    let flow = Flow::new(
        Chain::new(parts)?,
        StandardNormal::new(2, DType::F32, &Device::Cpu),
    );

    let settings = Optimization {
        learning_rate: 5e-3,
        ..Optimization::default()
    };
    let (mut steps, mut store) = (Steps::default(), MemoryStore::default());
    for step in 0..STEPS {
        let (x, log_prob) = flow.with_graph().sample_with_log_prob(128, step)?;
        let loss = (log_prob - log_density(&x)?)?.mean_all()?;
        let gradient = LossGradient::of(&loss, &params)?;
        let rate = settings.learning_rate_at(step, step as f64 / STEPS as f64);
        steps.take(&gradient, rate, &settings, &mut store)?;
    }

    let (x, log_prob) = flow.sample_with_log_prob(20_000, STEPS)?;
    let bound = (log_density(&x)? - log_prob)?
        .mean_all()?
        .to_scalar::<f32>()?;
    println!(
        "bound on the evidence {bound:.3}, which is {:.3}",
        (2.0 * PI * 0.5).ln()
    );
    let moments = x.mean(0)?.to_vec1::<f32>()?;
    println!(
        "means {:.2} and {:.2}, which are 0 and 1",
        moments[0], moments[1]
    );
    Ok(())
}
