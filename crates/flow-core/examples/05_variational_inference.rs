//! Posterior and evidence of eight schools, and Neal's funnel, by variational inference.
//!
//! `cargo run -p flow-core --example 05_variational_inference`
#![allow(clippy::print_stdout)]

use candle_core::{DType, Device, Result, Tensor};
use flow_core::importance::{self, WeightedSamples};
use flow_core::train::{FitSettings, Optimization, ReverseKlSettings};
use flow_core::{recipes, standard_normal_log_prob};
use std::f64::consts::PI;
use std::ops::ControlFlow;

/// Effects of coaching at eight schools, and their standard errors (Rubin 1981).
const EFFECTS: [[f32; 8]; 2] = [
    [28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0],
    [15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0],
];

/// μ ~ N(0, 5), τ ~ half-Cauchy(0, 5), θᵢ = μ + τ·ηᵢ with ηᵢ ~ N(0, 1), yᵢ ~ N(θᵢ, σᵢ); of
/// (μ/5, ln τ, η₁, …, η₈).
fn eight_schools(x: &Tensor) -> Result<Tensor> {
    let [y, sigma] = EFFECTS.map(|row| Tensor::new(&[row], &Device::Cpu));
    let (y, sigma) = (y?, sigma?);
    let log_tau = x.narrow(1, 1, 1)?;
    // ln 2/(5π·(1 + (τ/5)²)) + ln τ
    let square = ((log_tau.exp()? / 5.0)?.sqr()? + 1.0)?;
    let prior = (&log_tau - square.log()?)?.affine(1.0, (2.0 / (5.0 * PI)).ln())?;
    let normal = Tensor::cat(&[x.narrow(1, 0, 1)?, x.narrow(1, 2, 8)?], 1)?;
    let white = theta(x)?.broadcast_sub(&y)?.broadcast_div(&sigma)?;
    let likelihood = standard_normal_log_prob(&white)?.broadcast_sub(&sigma.log()?.sum_all()?)?;
    (prior.squeeze(1)? + standard_normal_log_prob(&normal)?)? + likelihood
}

/// θ of each school.
fn theta(x: &Tensor) -> Result<Tensor> {
    let (mu, tau) = ((x.narrow(1, 0, 1)? * 5.0)?, x.narrow(1, 1, 1)?.exp()?);
    x.narrow(1, 2, 8)?.broadcast_mul(&tau)?.broadcast_add(&mu)
}

/// Neal's funnel: v ~ N(0, 3²), xᵢ ~ N(0, eᵛ) for nine numbers; of (v/3, x₁, …, x₉).
fn funnel(x: &Tensor) -> Result<Tensor> {
    let (v, rest) = ((x.narrow(1, 0, 1)? * 3.0)?, x.narrow(1, 1, 9)?);
    let white = rest.broadcast_mul(&(&v * -0.5)?.exp()?)?;
    let white = Tensor::cat(&[&x.narrow(1, 0, 1)?, &white], 1)?;
    standard_normal_log_prob(&white)? - (v.squeeze(1)? * 4.5)?
}

/// Fits a flow by its own draws (KL(q‖p)), then to draws of the density (KL(p‖q)).
fn infer(log_density: fn(&Tensor) -> Result<Tensor>) -> Result<WeightedSamples> {
    let recipe = recipes::inverse_autoregressive_flow(10).layers(4);
    let model = recipe.build(0, DType::F32, &Device::Cpu)?;
    let settings = ReverseKlSettings {
        batch_size: 128,
        steps: 600,
        optimization: Optimization {
            learning_rate: 3e-3,
            ..Optimization::default()
        },
        ..ReverseKlSettings::default()
    };
    model.fit_reverse_kl(log_density, &settings, |_| ControlFlow::Continue(()))?;
    let draws = importance::sample(&model, log_density, 20_000, 1)?;
    print(&draws);

    let settings = FitSettings {
        epochs: 3,
        ..FitSettings::default()
    };
    model.fit(draws.data()?, &settings, |_| ControlFlow::Continue(()))?;
    let draws = importance::sample(&model, log_density, 20_000, 3)?;
    print(&draws);
    Ok(draws)
}

fn print(draws: &WeightedSamples) {
    let evidence = draws.log_evidence();
    println!(
        "  ln Z = {:.3} ± {:.3}, effective sample size {:.0} of {}",
        evidence.value,
        evidence.standard_error,
        draws.effective_sample_size(),
        draws.log_weights().len()
    );
}

fn main() -> Result<()> {
    println!("eight schools, ln Z = -31.311 by quadrature:");
    let draws = infer(eight_schools)?;
    let x = draws.samples();
    let tau = x.narrow(1, 1, 1)?.exp()?;
    let all = Tensor::cat(&[&(x.narrow(1, 0, 1)? * 5.0)?, &tau, &theta(x)?], 1)?;
    let names = ["mu", "tau", "theta 1", "theta 2", "theta 3"];
    let expected = [4.40, 3.60, 6.21, 4.94, 3.93];
    let means = draws.expectation(&all)?;
    for ((name, mean), expected) in names.iter().zip(means).zip(expected) {
        println!("  {name}: mean {mean:.2}, by quadrature {expected:.2}");
    }
    println!("funnel, ln Z = 0:");
    infer(funnel)?;
    Ok(())
}
