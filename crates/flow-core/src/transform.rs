//! Transforms of channels by a network's output, for couplings and autoregressive flows.
//!
//! The last channels of x are transformed, as many as h has parameters for; those before them pass.

use crate::Result;
use crate::ops::affine::{self, Order, ScaleMap};
use crate::ops::spline::{self, Spline};
use candle_core::{Tensor, bail};

/// A monotonic map of each number, with parameters from a network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Transform {
    /// y₂ = x₂ + h: preserves volume.
    Additive,
    /// y₂ = (x₂ + shift) ⊙ s, or x₂ ⊙ s + shift, with s from the map. h holds all shifts, then all raw scales.
    Affine(ScaleMap, Order),
    /// A rational-quadratic spline of each number. h holds the parameters of one channel after the other's.
    Spline(Spline),
}

impl Transform {
    /// Channels that the network gives for `channels` transformed ones.
    pub fn parameters(self, channels: usize) -> usize {
        match self {
            Self::Additive => channels,
            Self::Affine(..) => 2 * channels,
            Self::Spline(spline) => spline.parameters() * channels,
        }
    }

    /// To which of `channels` transformed ones the network's output `index` belongs.
    pub(crate) fn channel_of(self, index: usize, channels: usize) -> usize {
        match self {
            Self::Additive => index,
            Self::Affine(..) => index % channels,
            Self::Spline(spline) => index / spline.parameters(),
        }
    }

    /// y and ln|det ∂y/∂x| `[B]`, of `x` `[B, C, …]` and the network's `h` `[B, parameters(C₂), …]`.
    ///
    /// # Errors
    /// If the shapes do not fit, or a spline has no bins of positive size.
    pub fn forward(self, x: &Tensor, h: &Tensor) -> Result<(Tensor, Tensor)> {
        self.check(x, h)?;
        match self {
            Self::Additive => {
                let log_det = Tensor::zeros(x.dim(0)?, x.dtype(), x.device())?;
                Ok((moved(x, h)?, log_det))
            }
            Self::Affine(map, order) => affine::forward(x, h, map, order),
            Self::Spline(spline) => spline::forward(x, h, spline),
        }
    }

    /// The x of which [`forward`](Self::forward) gives `y`.
    ///
    /// # Errors
    /// As those of `forward`.
    pub fn inverse(self, y: &Tensor, h: &Tensor) -> Result<Tensor> {
        self.check(y, h)?;
        match self {
            Self::Additive => moved(y, &h.neg()?),
            Self::Affine(map, order) => affine::inverse(y, h, map, order),
            Self::Spline(spline) => spline::inverse(y, h, spline),
        }
    }

    /// # Errors
    /// If `h` does not have the parameters of the last channels of `x`, or not at the same places.
    fn check(self, x: &Tensor, h: &Tensor) -> Result<()> {
        if let Self::Spline(_) = self {
            // Splines check their shapes and settings together.
            return Ok(());
        }
        let each = self.parameters(1);
        let fits = match (x.dims(), h.dims()) {
            ([batch, channels, space @ ..], [rows, parameters, places @ ..]) => {
                rows == batch
                    && places == space
                    && *parameters > 0
                    && parameters % each == 0
                    && parameters / each <= *channels
            }
            _ => false,
        };
        if !fits {
            bail!(
                "transform: parameters of shape {:?}, {each} for each channel that moves, do not fit \
                 inputs of shape {:?}",
                h.dims(),
                x.dims()
            );
        }
        Ok(())
    }

    /// The parameters in `h` of one of `channels` transformed channels.
    pub(crate) fn of_channel(self, h: &Tensor, channel: usize, channels: usize) -> Result<Tensor> {
        match self {
            Self::Additive => h.narrow(1, channel, 1),
            Self::Affine(..) => {
                let [shift, raw] = [channel, channels + channel].map(|index| h.narrow(1, index, 1));
                Tensor::cat(&[shift?, raw?], 1)
            }
            Self::Spline(spline) => {
                let count = spline.parameters();
                h.narrow(1, channel * count, count)
            }
        }
    }
}

/// x with `h` added to its last channels.
fn moved(x: &Tensor, h: &Tensor) -> Result<Tensor> {
    if x.elem_count() == 0 {
        return Ok(x.clone());
    }
    let transformed = h.dim(1)?;
    let passing = x.dim(1)?.saturating_sub(transformed);
    if passing == 0 {
        return x + h;
    }
    let moved = (x.narrow(1, passing, transformed)? + h)?;
    Tensor::cat(&[x.narrow(1, 0, passing)?, moved], 1)
}
