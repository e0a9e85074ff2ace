//! Whitening by a diagonal Gaussian: what N(mean, exp(log_std)²) draws becomes standard normal.
//!
//! ```text
//! y       = (x − mean) ⊙ exp(−log_std)
//! log_det = −Σ log_std
//! x       = y ⊙ exp(log_std) + mean
//! ```
//!
//! Learned priors are written in this form, so that the base distribution of every flow is one
//! standard normal, and encoding, temperature and labels need no special cases.

use crate::{Bijection, Result};
use candle_core::Tensor;
use std::f64::consts::PI;

/// A Gaussian with bound mean and standard deviation, as a bijection to the standard normal.
pub struct Whiten {
    mean: Tensor,
    log_std: Tensor,
}

impl Whiten {
    /// `mean` and `log_std` broadcast to the shape of `x`.
    pub fn new(mean: Tensor, log_std: Tensor) -> Self {
        Self { mean, log_std }
    }
}

impl Bijection for Whiten {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let y = x
            .broadcast_sub(&self.mean)?
            .broadcast_mul(&self.log_std.neg()?.exp()?)?;
        let log_det = self
            .log_std
            .broadcast_as(x.shape())?
            .flatten_from(1)?
            .sum(1)?
            .neg()?;
        Ok((y, log_det))
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        y.broadcast_mul(&self.log_std.exp()?)?
            .broadcast_add(&self.mean)
    }
}

/// ln N(z; 0, 1) of each sample, `[B, …]` → `[B]`, in nats.
pub fn standard_normal_log_prob(z: &Tensor) -> Result<Tensor> {
    let z = z.flatten_from(1)?;
    let normaliser = -0.5 * (2.0 * PI).ln() * z.dim(1)? as f64;
    z.sqr()?.sum(1)?.affine(-0.5, normaliser)
}
