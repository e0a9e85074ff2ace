//! Networks of a Glow: in the couplings, and the convolution that predicts the priors.

use crate::config::{Coupling, GlowConfig, ScaleMap};
use crate::conventions::{NetworkInput, Padding};
use candle_core::{Result, Tensor, bail};
use flow_core::Conditioner;
use flow_core::ops::Precision;
use flow_core::ops::coupling_network::{Weights, coupling_network};
use flow_core::params::{Init, ParamBuilder};
use flow_core::runs::Rows;

/// The paper's coupling network: 3×3, ReLU, 1×1, ReLU, 3×3. The last starts at zero, so a coupling
/// starts as the identity (arXiv:1807.03039, section 3.3 and appendix B).
#[derive(Clone)]
pub struct ConvNetwork {
    /// Channels of the context, which follow those of the input.
    context: usize,
    input: Option<InputMap>,
    conv1_weight: Tensor,
    conv1_bias: Tensor,
    conv2_weight: Tensor,
    conv2_bias: Tensor,
    conv3: ZeroConv,
    /// The largest |ln s| of each transformed channel, `[C₂]`, if it is learned.
    bound: Option<Tensor>,
    precision: Precision,
}

impl ConvNetwork {
    /// `[B, inputs, H, W]` → `[B, outputs, H, W]` through the hidden channels. `context` is the
    /// number of context values or channels, 0 for none. Parameters `conv1.{weight,bias}`,
    /// `conv2.{weight,bias}`, `conv3.{weight,bias,log_gain}`, and `input.{scale,shift}` and `bound`
    /// if configured.
    pub(crate) fn new(
        config: &GlowConfig,
        inputs: usize,
        outputs: usize,
        context: usize,
        precision: Precision,
        params: ParamBuilder,
    ) -> Result<Self> {
        // He et al. 2015 (arXiv:1502.01852), equation 10: keeps the variance through a ReLU.
        let he = |fan_in: usize| Init::Hidden {
            std: (2.0 / fan_in as f64).sqrt(),
        };
        let inputs = inputs + context;
        let (conv1, conv2) = (params.pp("conv1"), params.pp("conv2"));
        let (width, conventions) = (config.width, &config.conventions);
        let input = (conventions.network_input == NetworkInput::AffineRelu)
            .then(|| InputMap::new(inputs, params.pp("input")));
        let learns_bound =
            (config.coupling, config.scale_map) == (Coupling::Affine, ScaleMap::ExpTanhLearned);
        let bound = learns_bound.then(|| params.get_with_hints(outputs / 2, "bound", Init::Ones));
        Ok(Self {
            context,
            input: input.transpose()?,
            conv1_weight: conv1.get_with_hints((width, inputs, 3, 3), "weight", he(9 * inputs))?,
            conv1_bias: conv1.get_with_hints(width, "bias", Init::Zeros)?,
            conv2_weight: conv2.get_with_hints((width, width), "weight", he(width))?,
            conv2_bias: conv2.get_with_hints(width, "bias", Init::Zeros)?,
            conv3: ZeroConv::new(width, outputs, conventions.padding, params.pp("conv3"))?,
            bound: bound.transpose()?,
            precision,
        })
    }

    /// The output for `x` `[B, I, H, W]`, whose last channels are the context.
    fn run(&self, x: &Tensor) -> Result<Tensor> {
        let x = &match &self.input {
            Some(input) => input.forward(x)?,
            None => x.clone(),
        };
        let (w3, b3) = self.conv3.weight_and_bias()?;
        let weights = Weights {
            w1: &self.conv1_weight,
            b1: &self.conv1_bias,
            w2: &self.conv2_weight,
            b2: &self.conv2_bias,
            w3: &w3,
            b3: &b3,
        };
        let h = coupling_network(x, weights, self.precision)?;
        let h = self.conv3.add_border(h, &w3)?;
        let Some(bound) = self.bound.as_ref().filter(|_| h.elem_count() > 0) else {
            return Ok(h);
        };
        let half = bound.elem_count();
        let (shift, raw) = (h.narrow(1, 0, half)?, h.narrow(1, half, half)?);
        let log_scale = raw
            .tanh()?
            .broadcast_mul(&bound.reshape((1, half, 1, 1))?)?;
        Tensor::cat(&[shift, log_scale], 1)
    }

    /// The same network, whose outputs record no graph of its parameters.
    fn detached(&self) -> Self {
        Self {
            context: self.context,
            input: self.input.as_ref().map(InputMap::detached),
            conv1_weight: self.conv1_weight.detach(),
            conv1_bias: self.conv1_bias.detach(),
            conv2_weight: self.conv2_weight.detach(),
            conv2_bias: self.conv2_bias.detach(),
            conv3: self.conv3.detached(),
            bound: self.bound.as_ref().map(Tensor::detach),
            precision: self.precision,
        }
    }
}

impl Conditioner for ConvNetwork {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if self.context > 0 {
            bail!(
                "the model is conditional: it needs {} numbers for each sample; bind them with `given`",
                self.context
            );
        }
        self.run(x)
    }

    fn sizes(&self) -> Option<[usize; 2]> {
        let inputs = self.conv1_weight.dims()[1] - self.context;
        Some([inputs, self.conv3.bias.dims()[0]])
    }

    fn context(&self) -> Option<usize> {
        (self.context > 0).then_some(self.context)
    }

    /// `context` is `[B, K]`, or images `[B, K, H, W]` of the size of the input.
    fn given(&self, context: &Tensor) -> Result<Box<dyn Conditioner + '_>> {
        let context = match *context.dims() {
            [_, channels] if channels == self.context => context.unsqueeze(2)?.unsqueeze(3)?,
            [_, channels, _, _] if channels == self.context => context.clone(),
            _ => bail!(
                "given: got a context of shape {:?}, needed [B, {channels}] or [B, {channels}, H, W]",
                context.dims(),
                channels = self.context
            ),
        };
        let network = self.clone();
        Ok(Box::new(BoundNetwork { network, context }))
    }

    fn frozen(&self, _: &Rows) -> Result<Box<dyn Conditioner + '_>> {
        Ok(Box::new(self.detached()))
    }
}

/// A network with its context, `[B, K, H, W]` or `[B, K, 1, 1]`; one row serves every sample.
struct BoundNetwork {
    network: ConvNetwork,
    context: Tensor,
}

impl Conditioner for BoundNetwork {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, _, height, width) = x.dims4()?;
        let shape = (batch, self.network.context, height, width);
        let context = self.context.broadcast_as(shape)?.contiguous()?;
        self.network.run(&Tensor::cat(&[x, &context], 1)?)
    }

    fn sizes(&self) -> Option<[usize; 2]> {
        self.network.sizes()
    }

    fn frozen(&self, rows: &Rows) -> Result<Box<dyn Conditioner + '_>> {
        Ok(Box::new(Self {
            network: self.network.detached(),
            context: rows.of_context(&self.context)?.detach(),
        }))
    }
}

/// relu(scale ⊙ x + shift), before the first convolution of some models.
#[derive(Clone)]
struct InputMap {
    scale: Tensor,
    shift: Tensor,
}

impl InputMap {
    fn new(channels: usize, params: ParamBuilder) -> Result<Self> {
        Ok(Self {
            scale: params.get_with_hints(channels, "scale", Init::Ones)?,
            shift: params.get_with_hints(channels, "shift", Init::Zeros)?,
        })
    }

    fn detached(&self) -> Self {
        Self {
            scale: self.scale.detach(),
            shift: self.shift.detach(),
        }
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let each = |values: &Tensor| values.reshape((1, values.elem_count(), 1, 1));
        x.broadcast_mul(&each(&self.scale)?)?
            .broadcast_add(&each(&self.shift)?)?
            .relu()
    }
}

/// Learning rate of the gain of a [`ZeroConv`] relative to its weights (arXiv:1807.03039, published
/// code).
const GAIN_RATE: f64 = 3.0;

/// A 3×3 convolution that starts at zero, with a learned gain: exp(3·log_gain) ⊙ (w ∗ x + b).
#[derive(Clone)]
pub(crate) struct ZeroConv {
    weight: Tensor,
    bias: Tensor,
    log_gain: Tensor,
    padding: Padding,
}

impl ZeroConv {
    pub(crate) fn new(
        inputs: usize,
        outputs: usize,
        padding: Padding,
        params: ParamBuilder,
    ) -> Result<Self> {
        Ok(Self {
            weight: params.get_with_hints((outputs, inputs, 3, 3), "weight", Init::Zeros)?,
            bias: params.get_with_hints(outputs, "bias", Init::Zeros)?,
            log_gain: params.get_with_hints(outputs, "log_gain", Init::Zeros)?,
            padding,
        })
    }

    fn detached(&self) -> Self {
        Self {
            weight: self.weight.detach(),
            bias: self.bias.detach(),
            log_gain: self.log_gain.detach(),
            padding: self.padding,
        }
    }

    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (weight, bias) = self.weight_and_bias()?;
        let channels = bias.elem_count();
        let y = x
            .contiguous()?
            .conv2d(&weight, 1, 1, 1, 1)?
            .broadcast_add(&bias.reshape((1, channels, 1, 1))?)?;
        self.add_border(y, &weight)
    }

    /// Corrects `y`, the output of `weight` `[O, I, 3, 3]` under zero padding, for the padding of
    /// this convolution. A frame of ones adds its weights, the same in each image.
    fn add_border(&self, y: Tensor, weight: &Tensor) -> Result<Tensor> {
        if self.padding == Padding::Zeros {
            return Ok(y);
        }
        let (_, _, height, width) = y.dims4()?;
        let frame = Tensor::ones((1, 1, height, width), y.dtype(), y.device())?;
        let frame = (1.0 - frame.pad_with_zeros(2, 1, 1)?.pad_with_zeros(3, 1, 1)?)?;
        let border = frame.conv2d(&weight.sum_keepdim(1)?, 0, 1, 1, 1)?;
        y.broadcast_add(&border)
    }

    /// Weight and bias of the equivalent plain convolution.
    fn weight_and_bias(&self) -> Result<(Tensor, Tensor)> {
        let gain = (&self.log_gain * GAIN_RATE)?.exp()?;
        let weight = self
            .weight
            .broadcast_mul(&gain.reshape((gain.elem_count(), 1, 1, 1))?)?;
        Ok((weight, (&self.bias * gain)?))
    }
}
