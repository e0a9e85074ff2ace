//! Neal's funnel by variational inference: a flow is fitted by its own draws, then refined by draws
//! of the density.
//!
//! `cargo run -p flow-core --example 08_funnel`
#![allow(clippy::print_stdout)]

use candle_core::{DType, Device, Result, Tensor};
use flow_core::importance::{self, WeightedSamples};
use flow_core::train::{FitSettings, Optimization, ReverseKlSettings};
use flow_core::{recipes, standard_normal_log_prob};
use std::ops::ControlFlow::Continue;

/// v ~ N(0, 3²), xᵢ ~ N(0, eᵛ) for nine numbers; of (v/3, x₁, …, x₉).
fn log_density(x: &Tensor) -> Result<Tensor> {
    let (v, rest) = ((x.narrow(1, 0, 1)? * 3.0)?, x.narrow(1, 1, 9)?);
    let white = rest.broadcast_mul(&(&v * -0.5)?.exp()?)?;
    let white = Tensor::cat(&[&x.narrow(1, 0, 1)?, &white], 1)?;
    standard_normal_log_prob(&white)? - (v.squeeze(1)? * 4.5)?
}

fn main() -> Result<()> {
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
    // KL(q‖p), then KL(p‖q).
    model.fit_reverse_kl(log_density, &settings, |_| Continue(()))?;
    let draws = importance::sample(&model, log_density, 20_000, 1)?;
    print("reverse KL", &draws);

    let settings = FitSettings {
        epochs: 3,
        ..FitSettings::default()
    };
    model.fit(draws.data()?, &settings, |_| Continue(()))?;
    let draws = importance::sample(&model, log_density, 20_000, 3)?;
    print("then forward KL", &draws);
    Ok(())
}

fn print(name: &str, draws: &WeightedSamples) {
    let evidence = draws.log_evidence();
    println!(
        "{name}: ln Z = {:.3} ± {:.3} (it is 0), effective sample size {:.0} of {}",
        evidence.value,
        evidence.standard_error,
        draws.effective_sample_size(),
        draws.log_weights().len()
    );
}
