//! A conditional density: the landing point of a ball, given the speed of the throw.
//!
//! `cargo run -p flow-core --example 03_conditional_density`
#![allow(clippy::print_stdout)]

use candle_core::{DType, Device, Result, Tensor};
use flow_core::random;
use flow_core::recipes;
use flow_core::train::{FitSettings, Optimization};
use std::ops::ControlFlow;

const COUNT: usize = 6000;

/// Distance and height of flight at speeds of 1 to 3, at angles that vary: `[COUNT, 2]`, and the
/// speeds `[COUNT, 1]`.
fn throws() -> Result<(Tensor, Tensor)> {
    let speed = random::uniform(0, (COUNT, 1), DType::F32, &Device::Cpu)?.affine(2.0, 1.0)?;
    let angle = random::normal(1, (COUNT, 1), DType::F32, &Device::Cpu)?.affine(0.15, 0.7)?;
    let distance = (speed.sqr()? * (&angle * 2.0)?.sin()?)?;
    let height = ((speed.sqr()? * angle.sin()?.sqr()?)? * 0.5)?;
    let landing = Tensor::cat(&[distance, height], 1)?;
    let wind = (random::normal(2, (COUNT, 2), DType::F32, &Device::Cpu)? * 0.1)?;
    Ok(((landing + wind)?, speed))
}

fn main() -> Result<()> {
    let (landing, speed) = throws()?;
    let recipe = recipes::masked_autoregressive_flow(2).context(1);
    let model = recipe
        .layers(3)
        .width(32)
        .build(0, DType::F32, &Device::Cpu)?;
    let settings = FitSettings {
        max_steps: 600,
        optimization: Optimization {
            learning_rate: 3e-3,
            ..Optimization::default()
        },
        ..FitSettings::default()
    };
    let fitted = model.fit((&landing, &speed), &settings, |_| ControlFlow::Continue(()))?;
    println!(
        "{:.3} nats on held-out throws",
        fitted.best.validation.unwrap_or(f64::NAN)
    );

    for speed in [1.0_f32, 2.0, 3.0] {
        let given = model.given(&Tensor::new(&[[speed]], &Device::Cpu)?)?;
        let mean = given.sample(4000, 1)?.mean(0)?.to_vec1::<f32>()?;
        // E sin 2a of a Gaussian angle a.
        let expected = speed * speed * 1.4_f32.sin() * (-2.0 * 0.15_f32 * 0.15).exp();
        println!(
            "at speed {speed}: lands at {:.2} on average (in truth {expected:.2}), after rising to {:.2}",
            mean[0], mean[1]
        );
    }
    Ok(())
}
