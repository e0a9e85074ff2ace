//! A custom bijection, checked in three lines, and put to use.
//!
//! `cargo run -p flow-core --example 01_first_bijection`
#![allow(clippy::print_stdout)]

use candle_core::{DType, Device, Result, Tensor};
use flow_core::distribution::StandardNormal;
use flow_core::params::{Init, ParamBuilder, ParamStore};
use flow_core::{Bijection, Flow, check, random};

/// y = sinh(x)·eˢ with a learned s for each number: its inverse makes heavy tails light.
struct Sinh {
    log_scale: Tensor,
}

impl Sinh {
    fn new(features: usize, params: ParamBuilder) -> Result<Self> {
        let log_scale = params.get_with_hints((1, features), "log_scale", Init::Zeros)?;
        Ok(Self { log_scale })
    }
}

impl Bijection for Sinh {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let (up, down) = (x.exp()?, x.neg()?.exp()?);
        let y = ((&up - &down)? * 0.5)?.broadcast_mul(&self.log_scale.exp()?)?;
        let log_slope = ((up + down)? * 0.5)?
            .log()?
            .broadcast_add(&self.log_scale)?;
        Ok((y, log_slope.sum(1)?))
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        let y = y.broadcast_mul(&self.log_scale.neg()?.exp()?)?;
        // asinh y = sign(y)·ln(|y| + √(y² + 1)), which does not cancel.
        let size = (y.abs()? + (y.sqr()? + 1.0)?.sqrt()?)?.log()?;
        size * y.sign()?
    }
}

fn main() -> Result<()> {
    let params = ParamStore::new(0);
    let sinh = Sinh::new(3, params.builder(DType::F64, &Device::Cpu))?;
    check::randomize(&params, 1, 0.3)?;
    let x = random::normal(2, (4, 3), DType::F64, &Device::Cpu)?;

    check::round_trip(&sinh, &x, 1e-9)?;
    check::log_det(&sinh, &x, 1e-8)?;
    check::gradients(&sinh, &params, &x, 1e-9)?;
    println!("Sinh is a bijection");

    let flow = Flow::new(sinh, StandardNormal::new(3, DType::F64, &Device::Cpu));
    let (x, log_prob) = flow.sample_with_log_prob(2, 3)?;
    println!(
        "two draws {:?}\nand their ln p {:?}",
        x.to_vec2::<f64>()?,
        log_prob.to_vec1::<f64>()?
    );
    Ok(())
}
