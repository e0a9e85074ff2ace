//! Posterior and evidence of eight schools by variational inference.
//!
//! `cargo run -p flow-core --example 05_variational_inference`
#![allow(clippy::print_stdout)]

use candle_core::{DType, Device, Result, Tensor};
use flow_core::{importance, recipes, standard_normal_log_prob, train::ReverseKlSettings};
use std::ops::ControlFlow::Continue;

/// Effects of coaching at eight schools, and their standard errors (Rubin 1981).
const EFFECTS: [f32; 8] = [28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0];
const ERRORS: [f32; 8] = [15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0];

/// μ ~ N(0, 5), τ ~ half-Cauchy(0, 5), θᵢ = μ + τ·ηᵢ with ηᵢ ~ N(0, 1), yᵢ ~ N(θᵢ, σᵢ); of
/// (μ/5, η₁, …, η₈, ln τ).
fn log_density(x: &Tensor) -> Result<Tensor> {
    let (normal, log_tau) = (x.narrow(1, 0, 9)?, x.narrow(1, 9, 1)?);
    let (mu, tau) = ((x.narrow(1, 0, 1)? * 5.0)?, log_tau.exp()?);
    let theta = x.narrow(1, 1, 8)?.broadcast_mul(&tau)?.broadcast_add(&mu)?;
    let [y, sigma] = [EFFECTS, ERRORS].map(|row| Tensor::new(&[row], &Device::Cpu));
    let white = theta.broadcast_sub(&y?)?.broadcast_div(&sigma?)?;
    // ln τ − ln (1 + (τ/5)²), then ln 2/(5π) − Σ ln σᵢ.
    let prior = (log_tau - ((tau / 5.0)?.sqr()? + 1.0)?.log()?)?;
    let prior = (prior.squeeze(1)? - 22.030_216_608)?;
    (prior + standard_normal_log_prob(&normal)?)? + standard_normal_log_prob(&white)?
}

fn main() -> Result<()> {
    let recipe = recipes::inverse_autoregressive_flow(10);
    let model = recipe.build(0, DType::F32, &Device::Cpu)?;
    model.fit_reverse_kl(log_density, &ReverseKlSettings::default(), |_| Continue(()))?;

    let draws = importance::sample(&model, log_density, 20_000, 1)?;
    let (ln_z, size) = (draws.log_evidence(), draws.effective_sample_size());
    println!("ln Z = {:.3} ± {:.3}", ln_z.value, ln_z.standard_error);
    println!("effective sample size {size:.0} of 20000");
    let mu = draws.expectation(&(draws.samples().narrow(1, 0, 1)? * 5.0)?)?;
    println!("mean of μ {mu:.2?}; by quadrature ln Z = -31.311 and 4.40");
    Ok(())
}
