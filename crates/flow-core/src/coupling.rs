//! Coupling layers: one half of the channels passes unchanged and decides how the other is moved.
//!
//! ```text
//! x₁, x₂ = split(x);  h = network(x₁)
//! affine:    y₂ = (x₂ + shift) ⊙ s,  shift, s from h;  log_det = Σ ln s
//! additive:  y₂ = x₂ + h;                              log_det = 0
//! y = cat(x₁, y₂)
//! ```
//!
//! Dinh, Krueger & Bengio 2015 (arXiv:1410.8516); Dinh, Sohl-Dickstein & Bengio 2017
//! (arXiv:1605.08803); the order of shift and scale is that of Kingma & Dhariwal 2018
//! (arXiv:1807.03039), whose first half passes.

use crate::ops::affine::{self, ScaleMap};
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

/// How the second half is moved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Transform {
    /// y₂ = x₂ + h: preserves volume.
    Additive,
    /// y₂ = (x₂ + shift) ⊙ s, with s from the map.
    Affine(ScaleMap),
}

impl Transform {
    /// How many channels the network gives for `channels` transformed ones.
    pub fn parameters(self, channels: usize) -> usize {
        match self {
            Self::Additive => channels,
            Self::Affine(_) => 2 * channels,
        }
    }
}

/// A coupling layer on `[B, C, H, W]`: the first ⌊C/2⌋ channels pass.
pub struct Coupling<N> {
    transform: Transform,
    network: N,
}

impl<N: Conditioner> Coupling<N> {
    /// Couples by `transform`, whose parameters `network` gives.
    pub fn new(transform: Transform, network: N) -> Self {
        Self { transform, network }
    }

    /// The first half of the channels, which the network sees.
    fn passing(x: &Tensor) -> Result<Tensor> {
        let channels = x.dim(1)?;
        if channels < 2 {
            bail!("coupling: {channels} channels cannot be split, at least 2 are needed");
        }
        x.narrow(1, 0, channels / 2)
    }

    fn transformed(&self, x: &Tensor, h: &Tensor) -> Result<(Tensor, Tensor)> {
        match self.transform {
            Transform::Affine(map) => affine::forward(x, h, map),
            Transform::Additive => {
                let x1 = Self::passing(x)?;
                let x2 = x.narrow(1, x1.dim(1)?, h.dim(1)?)?;
                let log_det = Tensor::zeros(x.dim(0)?, x.dtype(), x.device())?;
                Ok((Tensor::cat(&[x1, (x2 + h)?], 1)?, log_det))
            }
        }
    }
}

impl<N: Conditioner> Bijection for Coupling<N> {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        self.transformed(x, &self.network.forward(&Self::passing(x)?)?)
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        let y1 = Self::passing(y)?;
        let h = self.network.forward(&y1)?;
        match self.transform {
            Transform::Affine(map) => affine::inverse(y, &h, map),
            Transform::Additive => {
                let y2 = y.narrow(1, y1.dim(1)?, h.dim(1)?)?;
                Tensor::cat(&[y1, (y2 - h)?], 1)
            }
        }
    }

    fn initialize(&self, x: &Tensor) -> Result<Tensor> {
        let h = self.network.initialize(&Self::passing(x)?)?;
        Ok(self.transformed(x, &h)?.0.detach())
    }
}
