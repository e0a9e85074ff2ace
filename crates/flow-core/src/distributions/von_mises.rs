//! The von Mises distribution of angles.

use super::Distribution;
use crate::{Result, random, shape, transfer};
use candle_core::{DType, Device, Tensor, bail};
use rand::Rng;
use rand::distr::Open01;
use rand_chacha::ChaCha8Rng;
use std::f64::consts::{PI, TAU};

/// The von Mises distribution of angles `[B, D]`, the circle's normal distribution.
///
/// ```text
/// ln p(z) = Σ κ·cos(z − μ) − ln(2π·I₀(κ)) = Σ −2κ·sin²((z − μ)/2) − ln(2π·e^−κ·I₀(κ))
/// ```
///
/// With a concentration κ of 0 it is uniform on the circle. The density has the period 2π; draws
/// lie in [−π, π]. O(1) an angle; draws by the rejection of Best & Fisher 1979, which accepts 66 %
/// or more, in a form that keeps its digits for every κ.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use flow_core::distribution::{Distribution, VonMises};
///
/// let base = VonMises::new(&[0.0, 1.0], &[4.0, 0.0], DType::F64, &Device::Cpu)?;
/// let angles = base.sample(100, 1)?;
/// let turned = (&angles + std::f64::consts::TAU)?;
/// flow_core::check::close(&base.log_prob(&turned)?, &base.log_prob(&angles)?, 1e-12)?;
/// # candle_core::Result::Ok(())
/// ```
pub struct VonMises {
    means: Vec<f64>,
    concentrations: Vec<f64>,
    /// `[1, D]`.
    mean: Tensor,
    /// −2κ, `[1, D]`.
    weight: Tensor,
    log_normaliser: f64,
}

impl VonMises {
    /// A distribution of as many angles as there are means μ and concentrations κ.
    ///
    /// # Errors
    /// If their numbers differ or are 0, a mean is not finite, or a concentration is negative or
    /// not finite.
    pub fn new(
        means: &[f64],
        concentrations: &[f64],
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        if means.is_empty() || means.len() != concentrations.len() {
            bail!(
                "von mises: got {} means and {} concentrations, needed one of each for every angle",
                means.len(),
                concentrations.len()
            );
        }
        let is_good = |kappa: &f64| *kappa >= 0.0 && kappa.is_finite();
        if !means.iter().all(|mean| mean.is_finite()) || !concentrations.iter().all(is_good) {
            bail!(
                "von mises: got means {means:?} and concentrations {concentrations:?}, needed finite \
                 ones, and no negative concentration"
            );
        }
        let row = |numbers: Vec<f64>| transfer::upload(numbers, (1, means.len()), dtype, device);
        let log_terms = concentrations
            .iter()
            .map(|kappa| TAU.ln() + log_scaled_bessel(*kappa));
        Ok(Self {
            mean: row(means.to_vec())?,
            weight: row(concentrations.iter().map(|kappa| -2.0 * kappa).collect())?,
            log_normaliser: -log_terms.sum::<f64>(),
            means: means.to_vec(),
            concentrations: concentrations.to_vec(),
        })
    }
}

impl Distribution for VonMises {
    fn log_prob(&self, z: &Tensor) -> Result<Tensor> {
        shape::vectors("von mises", z, self.means.len())?;
        let half = (z.broadcast_sub(&self.mean)? * 0.5)?.sin()?.sqr()?;
        half.broadcast_mul(&self.weight)?.sum(1)? + self.log_normaliser
    }

    fn sample(&self, count: usize, seed: u64) -> Result<Tensor> {
        let features = self.means.len();
        let mut column = (0..features).cycle();
        let angles = random::numbers(seed, count * features, |generator| {
            let column = column.next().unwrap_or_default();
            let angle = self.means[column] + deviation(self.concentrations[column], generator);
            angle - TAU * ((angle + PI) / TAU).floor()
        });
        let (dtype, device) = (self.mean.dtype(), self.mean.device());
        transfer::upload(angles, (count, features), dtype, device)
    }
}

/// A draw with mean 0.
fn deviation(concentration: f64, generator: &mut ChaCha8Rng) -> f64 {
    let mut uniform = || generator.sample::<f64, _>(Open01);
    // Below, the density differs from the uniform one by less than a rounding.
    if concentration < 1e-17 {
        return TAU * (uniform() - 0.5);
    }
    // s = a + √(1 + a²) of a = 1/(2κ); s − 1 and 1 − cos are found without cancellation.
    let a = 0.5 / concentration;
    let beyond = a + a * (a / (1.0 + a.hypot(1.0)));
    loop {
        let (turn, accept, side) = (uniform(), uniform(), uniform());
        // With z = cos(π·turn): (1 − z)/2 and (1 + z)/2, and (1 − cos)/2 of the draw.
        let (sine, cosine) = (PI * turn / 2.0).sin_cos();
        let gap = beyond * sine * sine / (beyond + 2.0 * cosine * cosine);
        let y = concentration * (beyond + 2.0 * gap);
        if y * (2.0 - y) > accept || (y / accept).ln() + 1.0 >= y {
            let angle = 2.0 * gap.min(1.0).sqrt().asin();
            return if side < 0.5 { -angle } else { angle };
        }
    }
}

/// ln(e^−κ·I₀(κ)): the power series of positive terms, and far out the asymptotic one.
fn log_scaled_bessel(kappa: f64) -> f64 {
    const FAR: f64 = 40.0;
    let sum_of = |ratio: &dyn Fn(f64) -> f64| {
        let terms = (1..).scan(1.0, |term, k| {
            *term *= ratio(f64::from(k));
            Some(*term)
        });
        1.0 + terms
            .take_while(|term| *term > 1e-17)
            .take(200)
            .sum::<f64>()
    };
    if kappa > FAR {
        let sum = sum_of(&|k| (2.0 * k - 1.0).powi(2) / (8.0 * k * kappa));
        return sum.ln() - f64::midpoint(TAU.ln(), kappa.ln());
    }
    sum_of(&|k| (kappa / (2.0 * k)).powi(2)).ln() - kappa
}
