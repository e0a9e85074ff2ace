//! The posterior of a simulator: rates of Lotka–Volterra's equations, given noisy counts of prey and
//! hunters. A flow learns it from 10,000 simulations, and is checked on 500 others.
//!
//! `cargo run -p flow-core --features file --example 07_posterior`
#![allow(clippy::print_stdout)]

use candle_core::{DType, Device, Result, Tensor};
use flow_core::{calibration::Calibration, random, recipes, train::FitSettings};
use std::ops::ControlFlow;

/// Draws ln rates from N(0, 1/4), `[count, 4]`; gives them and the counts that follow, `[count, 20]`.
fn simulate(count: usize, seed: u64) -> Result<(Tensor, Tensor)> {
    let logs = (random::normal(seed, (count, 4), DType::F32, &Device::Cpu)? * 0.5)?;
    let rates = logs.exp()?.chunk(4, 1)?;
    let (mut prey, mut hunters, mut counts) =
        (rates[0].ones_like()?, rates[0].ones_like()?, vec![]);
    for step in 1..=100 {
        let met = (&prey * &hunters)?;
        let born = ((&rates[0] * &prey)? - (&rates[1] * &met)?)?;
        let grown = ((&rates[2] * &met)? - (&rates[3] * &hunters)?)?;
        (prey, hunters) = (
            (prey + born * 0.05)?.relu()?,
            (hunters + grown * 0.05)?.relu()?,
        );
        if step % 10 == 0 {
            counts.extend([prey.clone(), hunters.clone()]);
        }
    }
    let counts = (Tensor::cat(&counts, 1)? + 1e-3)?.log()?;
    let noise = random::normal(!seed, counts.dims(), DType::F32, &Device::Cpu)? * 0.2;
    Ok((logs, (counts + noise)?))
}

fn main() -> Result<()> {
    let (rates, counts) = simulate(10_000, 0)?;
    let recipe = recipes::neural_spline_flow(4)
        .context(20)
        .standardize((&rates, &counts))?;
    let model = recipe.build(0, DType::F32, &Device::Cpu)?;
    let settings = FitSettings {
        epochs: 40,
        ..FitSettings::default()
    };
    model.fit((&rates, &counts), &settings, |_| ControlFlow::Continue(()))?;

    let (truths, seen) = simulate(500, 1)?;
    let calibration = Calibration::of(&model, (&truths, &seen), 200, 2)?;
    let tests = calibration.uniformity().into_iter();
    let p_values = tests.map(|test| test.p_value).collect::<Vec<_>>();
    println!("p-values of uniform ranks: {p_values:.2?}");
    let coverage = 100.0 * calibration.coverage(0.9);
    println!("truths in 90 % regions: {coverage:.1} %");
    let draws = model.sample_each(1000, &seen.narrow(0, 0, 1)?, 3)?;
    println!("truth {}, mean of draws {}", truths.get(0)?, draws.mean(1)?);
    Ok(())
}
