//! Transforms of channels by a network's output, for couplings and autoregressive flows.

mod additive;
mod affine;
mod circular_shift;
mod monotonic_network;
mod per_channel;
mod spline;

pub use additive::Additive;
pub use affine::Affine;
pub use circular_shift::CircularShift;
pub use monotonic_network::MonotonicNetwork;
pub use per_channel::PerChannel;

use crate::Result;
use crate::ops::{channel_split, empty_output};
use candle_core::Tensor;
use std::ops::Deref;

/// A monotonic map of each number, with parameters from a network.
///
/// An implementation needs [`parameters`](Self::parameters), [`forward`](Self::forward) and
/// [`inverse`](Self::inverse). The other methods have defaults.
pub trait Transform: Send + Sync {
    /// K, the parameters of each number.
    fn parameters(&self) -> usize;

    /// y and ln|det ∂y/∂x| `[B]`, of `x` `[B, C, …]` and its parameters `h` `[B, C, K, …]`.
    fn forward(&self, x: &Tensor, h: &Tensor) -> Result<(Tensor, Tensor)>;

    /// The x for which [`forward`](Self::forward) gives `y`. Flows that are trained by their
    /// samples need its gradients in `y` and `h`.
    fn inverse(&self, y: &Tensor, h: &Tensor) -> Result<Tensor>;

    /// The K initial biases of the network's last layer, preferably those of the identity.
    fn initial_bias(&self) -> Vec<f64> {
        vec![0.0; self.parameters()]
    }

    /// The transform of the channel with this index among those moved, with as many parameters, if
    /// channels have transforms of their own.
    fn channel(&self, index: usize) -> Option<&dyn Transform> {
        let _ = index;
        None
    }

    /// Order of the parameters of all channels in the network's output.
    fn layout(&self) -> Layout {
        Layout::ChannelMajor
    }

    /// [`forward`](Self::forward) of the last C₂ channels of `x` `[B, C, …]`, with the network's
    /// output `h` `[B, K·C₂, …]`; the channels before them pass. Fused forms override it.
    ///
    /// # Errors
    /// If the shapes do not fit.
    fn forward_last(&self, x: &Tensor, h: &Tensor) -> Result<(Tensor, Tensor)> {
        let [passing, moved] = channel_split("transform", x.shape(), h.shape(), self.parameters())?;
        if x.elem_count() == 0 {
            return empty_output(x);
        }
        let h = self.layout().unpack(h, self.parameters())?;
        let (y, log_det) = self.forward(&x.narrow(1, passing, moved)?, &h)?;
        Ok((join(x, passing, y)?, log_det))
    }

    /// [`inverse`](Self::inverse) of the last C₂ channels of `y` `[B, C, …]`.
    ///
    /// # Errors
    /// If the shapes do not fit.
    fn inverse_last(&self, y: &Tensor, h: &Tensor) -> Result<Tensor> {
        let [passing, moved] = channel_split("transform", y.shape(), h.shape(), self.parameters())?;
        if y.elem_count() == 0 {
            return Ok(y.clone());
        }
        let h = self.layout().unpack(h, self.parameters())?;
        join(y, passing, self.inverse(&y.narrow(1, passing, moved)?, &h)?)
    }

    /// [`inverse_last`](Self::inverse_last), and ln|det ∂x/∂y| `[B]`. Fused forms override it.
    ///
    /// # Errors
    /// If the shapes do not fit.
    fn inverse_last_with_log_det(&self, y: &Tensor, h: &Tensor) -> Result<(Tensor, Tensor)> {
        let x = self.inverse_last(y, h)?;
        let (_, log_det) = self.forward_last(&x, h)?;
        Ok((x, log_det.neg()?))
    }
}

/// The first `passing` channels of `x`, then `moved`.
fn join(x: &Tensor, passing: usize, moved: Tensor) -> Result<Tensor> {
    if passing == 0 {
        return Ok(moved);
    }
    Tensor::cat(&[x.narrow(1, 0, passing)?, moved], 1)
}

/// References and boxes.
impl<P: Deref<Target: Transform> + Send + Sync> Transform for P {
    fn parameters(&self) -> usize {
        (**self).parameters()
    }

    fn forward(&self, x: &Tensor, h: &Tensor) -> Result<(Tensor, Tensor)> {
        (**self).forward(x, h)
    }

    fn inverse(&self, y: &Tensor, h: &Tensor) -> Result<Tensor> {
        (**self).inverse(y, h)
    }

    fn initial_bias(&self) -> Vec<f64> {
        (**self).initial_bias()
    }

    fn channel(&self, index: usize) -> Option<&dyn Transform> {
        (**self).channel(index)
    }

    fn layout(&self) -> Layout {
        (**self).layout()
    }

    fn forward_last(&self, x: &Tensor, h: &Tensor) -> Result<(Tensor, Tensor)> {
        (**self).forward_last(x, h)
    }

    fn inverse_last(&self, y: &Tensor, h: &Tensor) -> Result<Tensor> {
        (**self).inverse_last(y, h)
    }

    fn inverse_last_with_log_det(&self, y: &Tensor, h: &Tensor) -> Result<(Tensor, Tensor)> {
        (**self).inverse_last_with_log_det(y, h)
    }
}

/// Order of K parameters of each of C channels in a network's output `[B, K·C, …]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// All parameters of the first channel, then those of the next.
    ChannelMajor,
    /// The first parameter of all channels, then the next.
    ParameterMajor,
}

impl Layout {
    /// Channel and parameter of output `index`.
    pub(crate) fn place(self, index: usize, parameters: usize, channels: usize) -> [usize; 2] {
        match self {
            Self::ChannelMajor => [index / parameters, index % parameters],
            Self::ParameterMajor => [index % channels, index / channels],
        }
    }

    /// `h` `[B, K·C, …]` as `[B, C, K, …]`.
    pub(crate) fn unpack(self, h: &Tensor, parameters: usize) -> Result<Tensor> {
        let (dims, channels) = (h.dims(), h.dim(1)? / parameters);
        let split = |sizes: [usize; 2]| h.reshape([&dims[..1], &sizes, &dims[2..]].concat());
        match self {
            Self::ChannelMajor => split([channels, parameters]),
            Self::ParameterMajor => split([parameters, channels])?.transpose(1, 2),
        }
    }

    /// `h` `[B, C, K, …]` as `[B, K·C, …]`.
    fn pack(self, h: &Tensor) -> Result<Tensor> {
        match self {
            Self::ChannelMajor => h.flatten(1, 2),
            Self::ParameterMajor => h.transpose(1, 2)?.flatten(1, 2),
        }
    }
}
