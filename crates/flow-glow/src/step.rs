//! One step of the flow: ActNorm, invertible 1×1 convolution, coupling
//! (arXiv:1807.03039, figure 2a).

use crate::config::GlowConfig;
use crate::decode::Limit;
use crate::network::ConvNetwork;
use candle_core::{Result, Tensor, bail};
use flow_core::ops::Precision;
use flow_core::ops::channel_map::AffineMap;
use flow_core::params::ParamBuilder;
use flow_core::{ActNorm, Bijection, Coupling, Gradients, InvertibleConv1x1, Transform};

/// A step of flow on `[B, C, H, W]`.
pub struct FlowStep {
    pub(crate) actnorm: ActNorm,
    pub(crate) conv1x1: InvertibleConv1x1,
    pub(crate) coupling: Coupling<Box<dyn Transform>, ConvNetwork>,
    /// Where its parameters are.
    name: String,
}

/// Where a step stands.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// C, the channels of its images.
    pub channels: usize,
    /// Which of its level's steps it is, from 0.
    pub step: usize,
    /// Whether its level is the last one.
    pub last_level: bool,
}

impl FlowStep {
    /// Parameters below `actnorm`, `conv1x1` and `coupling.network`.
    pub fn new(
        config: &GlowConfig,
        precision: Precision,
        place: Place,
        params: ParamBuilder,
    ) -> Result<Self> {
        let Place {
            channels,
            step,
            last_level,
        } = place;
        let transform = config.transform();
        let passing = config.conventions.passing(step);
        let form = config.conventions.matrix_form(last_level);
        let inputs = passing.count(channels);
        let network = ConvNetwork::new(
            config,
            inputs,
            transform.parameters() * (channels - inputs),
            precision,
            params.pp("coupling").pp("network"),
        )?;
        Ok(Self {
            actnorm: ActNorm::new(channels, params.pp("actnorm"))?,
            conv1x1: InvertibleConv1x1::with_form(channels, form, params.pp("conv1x1"))?,
            coupling: Coupling::new(transform, passing, network),
            name: params.prefix(),
        })
    }

    /// What inverts ActNorm and the 1×1 convolution at once.
    ///
    /// # Errors
    /// If one of the two has no inverse; the error names it.
    pub(crate) fn inverse_map(&self) -> Result<AffineMap> {
        let map = self.conv1x1.after(&self.actnorm)?;
        map.inverted().or_else(|_| {
            self.conv1x1.inverse_map()?;
            bail!(
                "the scales of `{}.actnorm.log_scale` leave the range of its numbers",
                self.name
            )
        })
    }

    /// The inverse of a step, given its [`inverse_map`](Self::inverse_map), which many batches need once; both
    /// parts' outputs passed through `limit`.
    pub(crate) fn inverse_by(&self, map: &AffineMap, y: &Tensor, limit: Limit) -> Result<Tensor> {
        limit(map.apply(&limit(self.coupling.inverse(y)?)?)?)
    }
}

impl Bijection for FlowStep {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let (x, map_log_det) = self.conv1x1.after(&self.actnorm)?.forward(x)?;
        let (y, log_det) = self.coupling.forward(&x)?;
        Ok((y, (log_det + map_log_det)?))
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        self.inverse_by(&self.inverse_map()?, y, Ok)
    }

    fn backward(
        &self,
        y: &Tensor,
        grad_y: &Tensor,
        grad_log_det: &Tensor,
        grads: &mut Gradients,
    ) -> Result<(Tensor, Tensor)> {
        let (y, grad_y) = self.coupling.backward(y, grad_y, grad_log_det, grads)?;
        let map = self.conv1x1.after(&self.actnorm)?;
        map.backward(&y, &grad_y, grad_log_det, grads)
    }

    fn initialize(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.actnorm.initialize(x)?;
        self.coupling.initialize(&self.conv1x1.initialize(&x)?)
    }
}
