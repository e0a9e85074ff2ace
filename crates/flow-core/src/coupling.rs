//! Coupling layers: some of the channels pass unchanged and decide how the others are moved.
//!
//! ```text
//! x₁, x₂ = split(x);  h = network(x₁)
//! affine:    y₂ = (x₂ + shift) ⊙ s,  shift, s from h;  log_det = Σ ln s
//! additive:  y₂ = x₂ + h;                              log_det = 0
//! y₁ = x₁; every channel stays where it was
//! ```
//!
//! Dinh, Krueger & Bengio 2015 (arXiv:1410.8516); Dinh, Sohl-Dickstein & Bengio 2017
//! (arXiv:1605.08803). Glow's published code shifts first, and its first half passes (Kingma & Dhariwal
//! 2018, arXiv:1807.03039); others differ.

mod passing;

pub use passing::Passing;

use crate::ops::affine::{self, Order, ScaleMap};
use crate::{Bijection, Result};
use candle_core::{Tensor, bail};

/// The network of a coupling: from the channels that pass to the parameters of the transform.
pub trait Conditioner: Send + Sync {
    /// `[B, C₁, H, W]` → `[B, transform.parameters(C₂), H, W]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor>;

    /// Sets what depends on data, as [`Bijection::initialize`] does, and returns `forward(x)`.
    fn initialize(&self, x: &Tensor) -> Result<Tensor> {
        self.forward(x)
    }
}

/// How the channels that do not pass are moved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Transform {
    /// y₂ = x₂ + h: preserves volume.
    Additive,
    /// y₂ = (x₂ + shift) ⊙ s, or x₂ ⊙ s + shift, with s from the map.
    Affine(ScaleMap, Order),
}

impl Transform {
    /// How many channels the network gives for `channels` transformed ones.
    pub fn parameters(self, channels: usize) -> usize {
        match self {
            Self::Additive => channels,
            Self::Affine(..) => 2 * channels,
        }
    }
}

/// A coupling layer on `[B, C, H, W]`.
pub struct Coupling<N> {
    transform: Transform,
    passing: Passing,
    network: N,
}

impl<N: Conditioner> Coupling<N> {
    /// Couples by `transform`, whose parameters `network` gives from the channels `passing`.
    pub fn new(transform: Transform, passing: Passing, network: N) -> Self {
        Self {
            transform,
            passing,
            network,
        }
    }

    /// x with the channels that pass first, and those alone, which the network sees.
    fn split(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let channels = x.dim(1)?;
        if channels < 2 {
            bail!("coupling: {channels} channels cannot be split, at least 2 are needed");
        }
        let x = self.passing.arrange(x)?;
        let x1 = x.narrow(1, 0, self.passing.count(channels))?;
        Ok((x, x1))
    }

    fn transformed(&self, x: &Tensor, x1: &Tensor, h: &Tensor) -> Result<(Tensor, Tensor)> {
        let (y, log_det) = match self.transform {
            Transform::Affine(map, order) => affine::forward(x, h, map, order)?,
            Transform::Additive => {
                let x2 = x.narrow(1, x1.dim(1)?, h.dim(1)?)?;
                let log_det = Tensor::zeros(x.dim(0)?, x.dtype(), x.device())?;
                (Tensor::cat(&[x1, &(x2 + h)?], 1)?, log_det)
            }
        };
        Ok((self.passing.restore(&y)?, log_det))
    }
}

impl<N: Conditioner> Bijection for Coupling<N> {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let (x, x1) = self.split(x)?;
        self.transformed(&x, &x1, &self.network.forward(&x1)?)
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        let (y, y1) = self.split(y)?;
        let h = self.network.forward(&y1)?;
        let x = match self.transform {
            Transform::Affine(map, order) => affine::inverse(&y, &h, map, order)?,
            Transform::Additive => {
                let y2 = y.narrow(1, y1.dim(1)?, h.dim(1)?)?;
                Tensor::cat(&[y1, (y2 - h)?], 1)?
            }
        };
        self.passing.restore(&x)
    }

    fn initialize(&self, x: &Tensor) -> Result<Tensor> {
        let (x, x1) = self.split(x)?;
        let h = self.network.initialize(&x1)?;
        Ok(self.transformed(&x, &x1, &h)?.0.detach())
    }
}
