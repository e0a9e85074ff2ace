//! One level of the multi-scale architecture: squeeze, steps of flow, split
//! (arXiv:1807.03039, figure 2b; arXiv:1605.08803, section 3.6).

use crate::config::GlowConfig;
use crate::prior::SplitPrior;
use crate::step::FlowStep;
use candle_core::{Result, Tensor};
use flow_core::params::ParamBuilder;
use flow_core::{Bijection, Chain, Squeeze};

/// A level: `[B, C, H, W]` → `[B, 4C, H/2, W/2]`. Where there is a split, the second half of the
/// channels leaves it white and the first half goes on to the next level.
pub struct Level {
    steps: Chain<FlowStep>,
    split: Option<SplitPrior>,
}

impl Level {
    /// A level for `channels` incoming ones. Parameters below `steps.{k}` and `split`.
    pub fn new(
        config: &GlowConfig,
        channels: usize,
        last: bool,
        params: ParamBuilder,
    ) -> Result<Self> {
        let channels = 4 * channels;
        let steps = (0..config.steps)
            .map(|k| FlowStep::new(config, channels, params.pp("steps").pp(k)))
            .collect::<Result<_>>()?;
        let split = if last {
            None
        } else {
            Some(SplitPrior::new(channels, params.pp("split"))?)
        };
        Ok(Self {
            steps: Chain::new(steps)?,
            split,
        })
    }
}

impl Bijection for Level {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        // Squeezing moves numbers about: its log-determinant is zero.
        let (squeezed, _) = Squeeze.forward(x)?;
        let (y, log_det) = self.steps.forward(&squeezed)?;
        let Some(split) = &self.split else {
            return Ok((y, log_det));
        };
        let (y, split_log_det) = split.forward(&y)?;
        Ok((y, (log_det + split_log_det)?))
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        let y = match &self.split {
            Some(split) => split.inverse(y)?,
            None => y.clone(),
        };
        Squeeze.inverse(&self.steps.inverse(&y)?)
    }

    fn initialize(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.steps.initialize(&Squeeze.initialize(x)?)?;
        match &self.split {
            Some(split) => split.initialize(&y),
            None => Ok(y),
        }
    }
}
