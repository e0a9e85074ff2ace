//! Parts of a level: squeeze, steps of flow, split (arXiv:1807.03039, figure 2; arXiv:1605.08803,
//! section 3.6).

use crate::config::GlowConfig;
use crate::conventions::LevelEnd;
use crate::network::ConvNetwork;
use crate::prior::SplitPrior;
use candle_core::{Result, Tensor, bail};
use flow_core::ops::Precision;
use flow_core::ops::channel_map::AffineMap;
use flow_core::params::ParamBuilder;
use flow_core::runs::Rows;
use flow_core::{
    ActNorm, Bijection, Chain, Coupling, Gradients, InvertibleConv1x1, Squeeze, Transform,
};
use std::ops::Deref;

/// A layer of a level.
pub enum Part {
    /// Trades space for channels.
    Squeeze(Squeeze),
    /// A step of flow: mixing, then coupling.
    Step(Chain<Part>),
    /// ActNorm and 1×1 convolution.
    Mixing(Mixing),
    /// Transforms half of the channels by a network's output for the other half.
    Coupling(Coupling<Box<dyn Transform>, ConvNetwork>),
    /// A 1×1 convolution at the end of the levels of some models.
    Conv1x1(InvertibleConv1x1),
    /// Whitens the half of the channels that is factored out.
    Split(SplitPrior),
}

impl Deref for Part {
    type Target = dyn Bijection;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Squeeze(squeeze) => squeeze,
            Self::Step(step) => step,
            Self::Mixing(mixing) => mixing,
            Self::Coupling(coupling) => coupling,
            Self::Conv1x1(conv1x1) => conv1x1,
            Self::Split(split) => split,
        }
    }
}

/// Position of a step of flow.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// C, the channels of its input.
    pub channels: usize,
    /// Index in its level, from 0.
    pub step: usize,
    /// True in the last level.
    pub last_level: bool,
}

impl Part {
    /// A step of flow on `[B, C, H, W]`. Parameters below `actnorm`, `conv1x1` and
    /// `coupling.network`.
    pub fn step(
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
        let inputs = passing.count(channels);
        let network = ConvNetwork::new(
            config,
            inputs,
            transform.parameters() * (channels - inputs),
            config.network_context(),
            precision,
            params.pp("coupling").pp("network"),
        )?;
        let form = config.conventions.matrix_form(last_level);
        let mixing = Mixing {
            actnorm: ActNorm::new(channels, params.pp("actnorm"))?,
            conv1x1: InvertibleConv1x1::with_form(channels, form, params.pp("conv1x1"))?,
            name: params.prefix(),
        };
        Ok(Self::Step(Chain::new(vec![
            Self::Mixing(mixing),
            Self::Coupling(Coupling::new(transform, passing, network)),
        ])?))
    }

    /// A level: `[B, channels, H, W]` → `[B, 4·channels, H/2, W/2]`. A split whitens the second
    /// half of the channels. Parameters below `steps.{k}`, `split` and, if the model's levels end
    /// in one, `conv1x1`.
    pub fn level(
        config: &GlowConfig,
        precision: Precision,
        channels: usize,
        last_level: bool,
        params: ParamBuilder,
    ) -> Result<Chain<Self>> {
        let channels = 4 * channels;
        let mut parts = vec![Self::Squeeze(Squeeze)];
        for step in 0..config.steps_of(last_level) {
            let place = Place {
                channels,
                step,
                last_level,
            };
            let params = params.pp("steps").pp(step);
            parts.push(Self::step(config, precision, place, params)?);
        }
        let conventions = &config.conventions;
        if conventions.level_end == LevelEnd::Conv1x1 {
            let form = conventions.matrix_form(last_level);
            let conv1x1 = InvertibleConv1x1::with_form(channels, form, params.pp("conv1x1"))?;
            parts.push(Self::Conv1x1(conv1x1));
        }
        if !last_level {
            let split = SplitPrior::new(conventions, channels, params.pp("split"))?;
            parts.push(Self::Split(split));
        }
        Chain::new(parts)
    }

    /// The 1×1 convolutions in it.
    pub(crate) fn convolutions(&self) -> Vec<&InvertibleConv1x1> {
        match self {
            Self::Step(step) => step.parts().iter().flat_map(Self::convolutions).collect(),
            Self::Mixing(mixing) => vec![&mixing.conv1x1],
            Self::Conv1x1(conv1x1) => vec![conv1x1],
            Self::Squeeze(_) | Self::Coupling(_) | Self::Split(_) => Vec::new(),
        }
    }

    /// # Errors
    /// If one of its matrices is singular; the error names the parameters.
    pub(crate) fn check_inverse(&self) -> Result<()> {
        match self {
            Self::Step(step) => step.parts().iter().try_for_each(Self::check_inverse),
            Self::Mixing(mixing) => mixing.inverse_of(&mixing.map()?).map(|_| ()),
            Self::Conv1x1(conv1x1) => conv1x1.inverse_map().map(|_| ()),
            Self::Squeeze(_) | Self::Coupling(_) | Self::Split(_) => Ok(()),
        }
    }
}

/// ActNorm and a 1×1 convolution, as one affine map of the channels.
pub struct Mixing {
    pub(crate) actnorm: ActNorm,
    pub(crate) conv1x1: InvertibleConv1x1,
    /// Prefix of the parameters of both.
    name: String,
}

impl Mixing {
    fn map(&self) -> Result<AffineMap> {
        self.conv1x1.after(&self.actnorm)
    }

    /// The inverse of its `map`.
    ///
    /// # Errors
    /// If `map` is singular; the error names the parameters to blame.
    fn inverse_of(&self, map: &AffineMap) -> Result<AffineMap> {
        map.inverted().or_else(|_| {
            self.conv1x1.inverse_map()?;
            bail!(
                "the scales of `{}.actnorm.log_scale` overflow its number type",
                self.name
            )
        })
    }
}

impl Bijection for Mixing {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        self.map()?.forward(x)
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        self.inverse_of(&self.map()?)?.apply(y)
    }

    fn frozen(&self, _: &Rows) -> Result<Box<dyn Bijection + '_>> {
        Ok(self.map()?.frozen(|map| self.inverse_of(map)))
    }

    fn initialize(&self, x: &Tensor) -> Result<Tensor> {
        self.conv1x1.initialize(&self.actnorm.initialize(x)?)
    }

    fn backward(
        &self,
        y: &Tensor,
        grad_y: &Tensor,
        grad_log_det: &Tensor,
        grads: &mut Gradients,
    ) -> Result<(Tensor, Tensor)> {
        self.map()?.backward(y, grad_y, grad_log_det, grads)
    }
}
