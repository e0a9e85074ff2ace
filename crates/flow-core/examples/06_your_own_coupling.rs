//! A coupling by a custom transform: the distribution function of a mixture of logistics (Flow++,
//! Ho et al. 2019, arXiv:1902.00275, section 3.2), whose inverse has no closed form.
//!
//! `cargo run -p flow-core --example 06_your_own_coupling`
#![allow(clippy::print_stdout)]

use candle_core::{DType, Device, Result, Tensor};
use flow_core::distribution::StandardNormal;
use flow_core::params::{ParamBuilder, ParamStore};
use flow_core::recipes;
use flow_core::train::{self, FitSettings};
use flow_core::{
    Bijection, Chain, Coupling, Flow, Mlp, MlpSize, Passing, Transform, check, random,
};
use std::f64::consts::PI;
use std::ops::ControlFlow;

/// y = logit(F(x))·eᵃ + b, where F(x) = Σᵢ πᵢ·σ((x − μᵢ)/sᵢ).
///
/// Parameters of each number: the logits of all πᵢ, all μᵢ, all ln sᵢ, a and b.
struct LogisticMixture {
    components: usize,
}

/// Halvings of the interval that holds x. The step of Newton's method after them squares the error.
const HALVINGS: usize = 60;

impl Transform for LogisticMixture {
    fn parameters(&self) -> usize {
        3 * self.components + 2
    }

    fn forward(&self, x: &Tensor, h: &Tensor) -> Result<(Tensor, Tensor)> {
        let (y, log_slope) = Mixture::new(h)?.forward(x)?;
        Ok((y, log_slope.flatten_from(1)?.sum(1)?))
    }

    /// Bisection without a graph, then x + (y − f(x))/f'(x), with the gradients of x in y and h.
    fn inverse(&self, y: &Tensor, h: &Tensor) -> Result<Tensor> {
        let x = Mixture::new(&h.detach())?.bisect(&y.detach())?;
        let (found, log_slope) = Mixture::new(h)?.forward(&x)?;
        x + ((y - found)? * log_slope.detach().neg()?.exp()?)?
    }

    /// Nearly the identity, with separate means so that the components learn different things.
    fn initial_bias(&self) -> Vec<f64> {
        let mut bias = vec![0.0; self.parameters()];
        for (component, mean) in bias[self.components..][..self.components]
            .iter_mut()
            .enumerate()
        {
            *mean = 2.0 * (component as f64 + 0.5) / self.components as f64 - 1.0;
        }
        bias
    }
}

/// The parameters of every number; those of components have one axis more than x, the third.
struct Mixture {
    log_weights: Tensor,
    means: Tensor,
    log_scales: Tensor,
    a: Tensor,
    b: Tensor,
}

impl Mixture {
    fn new(h: &Tensor) -> Result<Self> {
        let components = (h.dim(2)? - 2) / 3;
        let part = |index| h.narrow(2, index * components, components);
        let last = |index| h.narrow(2, 3 * components + index, 1)?.squeeze(2);
        // Bounded, so that a few steps cannot make a scale enormous.
        let bounded = |raw: Tensor| (raw / 3.0)?.tanh()? * 3.0;
        let logits = part(0)?;
        Ok(Self {
            log_weights: logits.broadcast_sub(&logits.log_sum_exp(2)?.unsqueeze(2)?)?,
            means: part(1)?,
            log_scales: bounded(part(2)?)?,
            a: bounded(last(0)?)?,
            b: last(1)?,
        })
    }

    /// logit F(x), and the logarithm of its slope.
    fn logit(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let z = x.unsqueeze(2)?.broadcast_sub(&self.means)?;
        let z = (z * self.log_scales.neg()?.exp()?)?;
        let (below, above) = (log_sigmoid(&z)?, log_sigmoid(&z.neg()?)?);
        let mixed = |log: &Tensor| (log + &self.log_weights)?.log_sum_exp(2);
        let density = mixed(&((&below + &above)? - &self.log_scales)?)?;
        let (below, above) = (mixed(&below)?, mixed(&above)?);
        Ok(((&below - &above)?, ((density - below)? - above)?))
    }

    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let (logit, log_slope) = self.logit(x)?;
        let y = ((logit * self.a.exp()?)? + &self.b)?;
        Ok((y, (log_slope + &self.a)?))
    }

    fn bisect(&self, y: &Tensor) -> Result<Tensor> {
        let logit = ((y - &self.b)? * self.a.neg()?.exp()?)?;
        // A quantile of the mixture lies between those of its components.
        let scaled = self.log_scales.exp()?.broadcast_mul(&logit.unsqueeze(2)?)?;
        let quantiles = (scaled + &self.means)?;
        let (mut low, mut high) = (quantiles.min(2)?, quantiles.max(2)?);
        for _ in 0..HALVINGS {
            let middle = ((&low + &high)? * 0.5)?;
            let is_below = self.logit(&middle)?.0.lt(&logit)?;
            low = is_below.where_cond(&middle, &low)?;
            high = is_below.where_cond(&high, &middle)?;
        }
        (low + high)? * 0.5
    }
}

/// ln σ(z) = −ln(1 + e⁻ᶻ), which does not overflow.
fn log_sigmoid(z: &Tensor) -> Result<Tensor> {
    let rest = (z.abs()?.neg()?.exp()? + 1.0)?.log()?;
    (z.neg()?.relu()? + rest)?.neg()
}

/// Couplings of alternating halves.
fn couplings(layers: usize, features: usize, params: &ParamBuilder) -> Result<Chain> {
    let size = MlpSize::default();
    let coupling = |layer: usize| {
        let transform = LogisticMixture { components: 4 };
        let passing = [Passing::FirstHalf, Passing::SecondHalf][layer % 2];
        let count = passing.count(features);
        let params = params.pp(layer);
        let network = Mlp::for_transform(&transform, count, features - count, size, params)?;
        Ok(Box::new(Coupling::new(transform, passing, network)) as Box<dyn Bijection>)
    };
    Chain::new((0..layers).map(coupling).collect::<Result<_>>()?)
}

fn prove() -> Result<()> {
    let params = ParamStore::new(0);
    let chain = couplings(2, 3, &params.builder(DType::F64, &Device::Cpu))?;
    check::randomize(&params, 1, 0.1)?;
    let x = random::normal(2, (4, 3), DType::F64, &Device::Cpu)?;
    check::round_trip(&chain, &x, 1e-9)?;
    check::log_det(&chain, &x, 1e-8)?;
    check::gradients(&chain, &params, &x, 1e-9)?;
    check::inverse_gradients(&chain, &params, &x, 1e-9)?;
    println!("couplings by a mixture of logistics are bijections, with right gradients both ways");
    Ok(())
}

/// Four round clouds around the points (±1, ±1), of standard deviation 0.2.
fn clouds(count: usize, seed: u64) -> Result<Tensor> {
    let centers = random::normal(seed, (count, 2), DType::F32, &Device::Cpu)?.sign()?;
    let noise = random::normal(!seed, (count, 2), DType::F32, &Device::Cpu)?;
    centers + (noise * 0.2)?
}

/// The mean of −ln p of other points, after training.
fn trained<B: Bijection>(flow: &Flow<B>, params: &ParamStore) -> Result<f32> {
    let settings = FitSettings {
        max_steps: 1000,
        ..FitSettings::default()
    };
    let points = clouds(5000, 0)?;
    train::fit(flow, params, &points, &settings, |_| {
        ControlFlow::Continue(())
    })?;
    flow.log_prob(&clouds(5000, 1)?)?
        .mean_all()?
        .neg()?
        .to_scalar()
}

fn main() -> Result<()> {
    prove()?;

    let (params, base) = (
        ParamStore::new(0),
        StandardNormal::new(2, DType::F32, &Device::Cpu),
    );
    let chain = couplings(2, 2, &params.builder(DType::F32, &Device::Cpu))?;
    let flow = Flow::new(chain, base);
    let mixture = trained(&flow, &params)?;

    let affine = recipes::realnvp(2)
        .layers(2)
        .build(0, DType::F32, &Device::Cpu)?;
    let affine = trained(&affine, affine.params())?;

    let entropy = 4_f64.ln() + (2.0 * PI * 0.2_f64.powi(2)).ln() + 1.0;
    println!("nats of a point of four clouds, whose entropy is {entropy:.3}:");
    println!(
        "{mixture:.3} by two couplings by a mixture of logistics, {affine:.3} by two affine ones"
    );
    Ok(())
}
