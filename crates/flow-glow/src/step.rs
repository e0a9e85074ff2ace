//! One step of the flow: ActNorm, invertible 1×1 convolution, coupling
//! (arXiv:1807.03039, figure 2a).

use crate::config::GlowConfig;
use crate::network::ConvNetwork;
use candle_core::{Result, Tensor};
use flow_core::ops::channel_mix::channel_mix;
use flow_core::params::ParamBuilder;
use flow_core::{ActNorm, Bijection, Coupling, InvertibleConv1x1};

/// A step of flow on `[B, C, H, W]`.
pub struct FlowStep {
    actnorm: ActNorm,
    conv1x1: InvertibleConv1x1,
    coupling: Coupling<ConvNetwork>,
}

impl FlowStep {
    /// Parameters below `actnorm`, `conv1x1` and `coupling.network`.
    pub fn new(config: &GlowConfig, channels: usize, params: ParamBuilder) -> Result<Self> {
        let transform = config.transform();
        let passing = channels / 2;
        let outputs = transform.parameters(channels - passing);
        let network = ConvNetwork::new(
            passing,
            config.width,
            outputs,
            params.pp("coupling").pp("network"),
        )?;
        Ok(Self {
            actnorm: ActNorm::new(channels, params.pp("actnorm"))?,
            conv1x1: InvertibleConv1x1::new(channels, params.pp("conv1x1"))?,
            coupling: Coupling::new(transform, network),
        })
    }

    /// ActNorm and the 1×1 convolution as one affine map of the channels, and its ln|det| a pixel:
    /// W·exp(s)·(x + t) = (W·exp(s))·x + W·exp(s)·t.
    fn channel_map(&self) -> Result<(Tensor, Tensor, Tensor)> {
        let channels = self.actnorm.log_scale().elem_count();
        let scale = self.actnorm.log_scale().reshape((1, channels))?.exp()?;
        let weight = self.conv1x1.weight()?.broadcast_mul(&scale)?;
        let bias = weight
            .matmul(&self.actnorm.shift().reshape((channels, 1))?)?
            .flatten_all()?;
        let log_det = (self.actnorm.log_scale().sum_all()? + self.conv1x1.log_abs_det()?)?;
        Ok((weight, bias, log_det))
    }
}

impl Bijection for FlowStep {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let (_, _, h, w) = x.dims4()?;
        let (weight, bias, pixel_log_det) = self.channel_map()?;
        let (y, log_det) = self.coupling.forward(&channel_mix(x, &weight, &bias)?)?;
        Ok((
            y,
            log_det.broadcast_add(&(pixel_log_det * (h * w) as f64)?)?,
        ))
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        self.actnorm
            .inverse(&self.conv1x1.inverse(&self.coupling.inverse(y)?)?)
    }

    fn initialize(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.actnorm.initialize(x)?;
        self.coupling.initialize(&self.conv1x1.initialize(&x)?)
    }
}
