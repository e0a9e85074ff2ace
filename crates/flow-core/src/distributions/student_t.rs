//! Student's t distribution.

use super::{Distribution, Numbers};
use crate::Result;
use crate::ops::elementary::log_1p;
use candle_core::{DType, Device, Shape, Tensor, bail};
use rand_distr::Distribution as _;
use std::f64::consts::PI;

/// Student's t distribution in every number: tails that fall by a power, as a flow with affine
/// tails cannot make them from a normal (Jaini et al. 2020, arXiv:1907.04481).
///
/// ```text
/// ln p(z) = Σ −(ν + 1)/2·ln(1 + z²/ν) + ln Γ((ν + 1)/2) − ln Γ(ν/2) − ln(νπ)/2
/// ```
///
/// O(1) a number; draws are a normal one over the root of a χ² one.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use flow_core::distribution::{Distribution, StudentT};
///
/// let cauchy = StudentT::new(1.0, 1, DType::F64, &Device::Cpu)?;
/// let log_prob = cauchy.log_prob(&Tensor::new(&[[0.0]], &Device::Cpu)?)?.to_vec1::<f64>()?;
/// assert!((log_prob[0] + std::f64::consts::PI.ln()).abs() < 1e-14);
/// # candle_core::Result::Ok(())
/// ```
pub struct StudentT {
    freedom: f64,
    log_normaliser: f64,
    draws: rand_distr::StudentT<f64>,
    numbers: Numbers,
}

impl StudentT {
    /// The distribution with ν = `freedom` degrees, of samples of the given `shape`, without the
    /// batch.
    ///
    /// # Errors
    /// If the degrees of freedom are not positive and finite.
    pub fn new(
        freedom: f64,
        shape: impl Into<Shape>,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let draws = match rand_distr::StudentT::new(freedom) {
            Ok(draws) if freedom.is_finite() => draws,
            _ => bail!("student t: got {freedom} degrees of freedom, needed a positive number"),
        };
        Ok(Self {
            freedom,
            log_normaliser: log_gamma_ratio(freedom / 2.0) - (freedom * PI).ln() / 2.0,
            draws,
            numbers: Numbers::new(shape, dtype, device),
        })
    }
}

impl Distribution for StudentT {
    fn log_prob(&self, z: &Tensor) -> Result<Tensor> {
        self.numbers.sum("student t", z, |z| {
            let tail = log_1p(&(z.sqr()? / self.freedom)?)?;
            tail.affine(-(self.freedom + 1.0) / 2.0, self.log_normaliser)
        })
    }

    fn sample(&self, count: usize, seed: u64) -> Result<Tensor> {
        self.numbers
            .sample(count, seed, |generator| self.draws.sample(generator))
    }
}

/// ln Γ(x + ½) − ln Γ(x), without their cancellation: recursion to x ≥ 20, and there the
/// asymptotic series, whose next term is below 10⁻¹⁴.
fn log_gamma_ratio(x: f64) -> f64 {
    let steps = (20.0 - x).ceil().max(0.0);
    let steps_back = (0..steps as u32).map(|step| {
        let at = x + f64::from(step);
        (at / (at + 0.5)).ln()
    });
    let far = x + steps;
    let terms = [-1.0 / 8.0, 1.0 / 192.0, -1.0 / 640.0, 17.0 / 14336.0];
    let square = (far * far).recip();
    let series = terms
        .iter()
        .rev()
        .fold(0.0, |sum, term| sum * square + term)
        / far;
    far.ln() / 2.0 + series + steps_back.sum::<f64>()
}
