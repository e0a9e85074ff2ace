//! The networks of a Glow: in the couplings, and the convolution that predicts the priors.

use candle_core::{Result, Tensor};
use flow_core::Conditioner;
use flow_core::ops::coupling_network::{Weights, coupling_network};
use flow_core::params::{Init, ParamBuilder};

/// The paper's coupling network: 3×3, ReLU, 1×1, ReLU, 3×3, the last starting at zero, so that a
/// coupling starts as the identity (arXiv:1807.03039, section 3.3 and appendix B).
pub struct ConvNetwork {
    conv1_weight: Tensor,
    conv1_bias: Tensor,
    conv2_weight: Tensor,
    conv2_bias: Tensor,
    conv3: ZeroConv,
}

impl ConvNetwork {
    /// `[B, inputs, H, W]` → `[B, outputs, H, W]` through `width` hidden channels. Parameters
    /// `conv1.{weight,bias}`, `conv2.{weight,bias}`, `conv3.{weight,bias,log_gain}`.
    pub fn new(inputs: usize, width: usize, outputs: usize, params: ParamBuilder) -> Result<Self> {
        // He et al. 2015 (arXiv:1502.01852), equation 10: keeps the variance through a ReLU.
        let he = |fan_in: usize| Init::Normal {
            std: (2.0 / fan_in as f64).sqrt(),
        };
        let (conv1, conv2) = (params.pp("conv1"), params.pp("conv2"));
        Ok(Self {
            conv1_weight: conv1.get_with_hints((width, inputs, 3, 3), "weight", he(9 * inputs))?,
            conv1_bias: conv1.get_with_hints(width, "bias", Init::Zeros)?,
            conv2_weight: conv2.get_with_hints((width, width), "weight", he(width))?,
            conv2_bias: conv2.get_with_hints(width, "bias", Init::Zeros)?,
            conv3: ZeroConv::new(width, outputs, params.pp("conv3"))?,
        })
    }
}

impl Conditioner for ConvNetwork {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (w3, b3) = self.conv3.weight_and_bias()?;
        let weights = Weights {
            w1: &self.conv1_weight,
            b1: &self.conv1_bias,
            w2: &self.conv2_weight,
            b2: &self.conv2_bias,
            w3: &w3,
            b3: &b3,
        };
        coupling_network(x, weights)
    }
}

/// How much faster than its weights the gain of a [`ZeroConv`] learns (arXiv:1807.03039, published code).
const GAIN_RATE: f64 = 3.0;

/// A 3×3 convolution that starts at zero, with a learned gain: exp(3·log_gain) ⊙ (w ∗ x + b).
pub(crate) struct ZeroConv {
    weight: Tensor,
    bias: Tensor,
    log_gain: Tensor,
}

impl ZeroConv {
    pub(crate) fn new(inputs: usize, outputs: usize, params: ParamBuilder) -> Result<Self> {
        Ok(Self {
            weight: params.get_with_hints((outputs, inputs, 3, 3), "weight", Init::Zeros)?,
            bias: params.get_with_hints(outputs, "bias", Init::Zeros)?,
            log_gain: params.get_with_hints(outputs, "log_gain", Init::Zeros)?,
        })
    }

    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (weight, bias) = self.weight_and_bias()?;
        let channels = bias.elem_count();
        x.contiguous()?
            .conv2d(&weight, 1, 1, 1, 1)?
            .broadcast_add(&bias.reshape((1, channels, 1, 1))?)
    }

    /// The plain convolution of equal effect.
    fn weight_and_bias(&self) -> Result<(Tensor, Tensor)> {
        let gain = (&self.log_gain * GAIN_RATE)?.exp()?;
        let weight = self
            .weight
            .broadcast_mul(&gain.reshape((gain.elem_count(), 1, 1, 1))?)?;
        Ok((weight, (&self.bias * gain)?))
    }
}
