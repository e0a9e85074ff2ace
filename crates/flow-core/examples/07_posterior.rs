//! The posterior of a simulator: amplitude, decay, frequency and phase of an oscillation, given 20
//! noisy values of it. A flow learns it from 10,000 simulations, and is checked on 500 others.
//!
//! `cargo run -p flow-core --example 07_posterior`
#![allow(clippy::print_stdout)]

use candle_core::{DType, Device, Result, Tensor};
use flow_core::{calibration::Calibration, random, recipes, train::FitSettings};
use std::ops::ControlFlow::Continue;

/// Draws θ `[count, 4]` from N(0, 1), and a·e^(−dt)·cos(ft + p) + noise `[count, 20]` at 20 times.
fn simulate(count: usize, seed: u64) -> Result<(Tensor, Tensor)> {
    let theta = random::normal(seed, (count, 4), DType::F32, &Device::Cpu)?;
    let parts = (&theta * 0.3)?.exp()?.chunk(4, 1)?;
    let time = (Tensor::arange(0_f32, 20.0, &Device::Cpu)? * 0.2)?;
    let angle = parts[2].broadcast_mul(&time)?.broadcast_add(&parts[3])?;
    let size = (parts[1].broadcast_mul(&time)?.neg()?.exp()?).broadcast_mul(&parts[0])?;
    let noise = random::normal(!seed, angle.dims(), DType::F32, &Device::Cpu)?;
    Ok((theta, ((size * angle.cos()?)? + noise * 0.1)?))
}

fn main() -> Result<()> {
    let (theta, x) = simulate(10_000, 0)?;
    let recipe = recipes::neural_spline_flow(4).context(20);
    let recipe = recipe.standardize((&theta, &x))?;
    let model = recipe.build(0, DType::F32, &Device::Cpu)?;
    model.fit((&theta, &x), &FitSettings::default(), |_| Continue(()))?;

    let (truths, seen) = simulate(500, 1)?;
    let calibration = Calibration::of(&model, (&truths, &seen), 200, 2)?;
    let tests = calibration.uniformity();
    let p_values = tests.iter().map(|test| test.p_value).collect::<Vec<_>>();
    println!("p-values of uniform ranks: {p_values:.2?}");
    println!("truths in 90 % regions: {:.3}", calibration.coverage(0.9));
    let draws = model.sample_each(1000, &seen.narrow(0, 0, 1)?, 3)?;
    println!("truth {}, mean of draws {}", truths.get(0)?, draws.mean(1)?);
    Ok(())
}
