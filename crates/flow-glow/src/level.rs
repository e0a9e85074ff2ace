//! One level of the multi-scale architecture: squeeze, steps of flow, split
//! (arXiv:1807.03039, figure 2b; arXiv:1605.08803, section 3.6).

use crate::config::GlowConfig;
use crate::conventions::LevelEnd;
use crate::decode::Limit;
use crate::prior::SplitPrior;
use crate::step::{FlowStep, Place};
use candle_core::{Result, Tensor};
use flow_core::ops::Precision;
use flow_core::ops::channel_map::AffineMap;
use flow_core::params::ParamBuilder;
use flow_core::{Bijection, Chain, Gradients, InvertibleConv1x1, Squeeze};

/// A level: `[B, C, H, W]` → `[B, 4C, H/2, W/2]`. Where there is a split, the second half of the
/// channels leaves it white and the first half goes on to the next level.
pub struct Level {
    pub(crate) steps: Chain<FlowStep>,
    pub(crate) end: Option<InvertibleConv1x1>,
    pub(crate) split: Option<SplitPrior>,
}

/// The inverses of a level's channel maps.
pub(crate) struct InverseMaps {
    steps: Vec<AffineMap>,
    end: Option<AffineMap>,
}

impl Level {
    /// A level for `channels` incoming ones. Parameters below `steps.{k}`, `split` and, if the model's
    /// levels end in one, `conv1x1`.
    pub fn new(
        config: &GlowConfig,
        precision: Precision,
        channels: usize,
        last: bool,
        params: ParamBuilder,
    ) -> Result<Self> {
        let channels = 4 * channels;
        let steps = (0..config.steps)
            .map(|k| {
                let place = Place {
                    channels,
                    step: k,
                    last_level: last,
                };
                FlowStep::new(config, precision, place, params.pp("steps").pp(k))
            })
            .collect::<Result<_>>()?;
        let end = (config.conventions.level_end == LevelEnd::Conv1x1).then(|| {
            let form = config.conventions.matrix_form(last);
            InvertibleConv1x1::with_form(channels, form, params.pp("conv1x1"))
        });
        let split = if last {
            None
        } else {
            let conventions = &config.conventions;
            Some(SplitPrior::new(conventions, channels, params.pp("split"))?)
        };
        Ok(Self {
            steps: Chain::new(steps)?,
            end: end.transpose()?,
            split,
        })
    }

    /// What the level is made of, in the order in which data pass.
    pub(crate) fn blocks(&self) -> Vec<&dyn Bijection> {
        let mut blocks: Vec<&dyn Bijection> = vec![&Squeeze];
        blocks.extend(self.steps.parts().iter().map(|step| step as &dyn Bijection));
        blocks.extend(self.end.iter().map(|end| end as &dyn Bijection));
        blocks.extend(self.split.iter().map(|split| split as &dyn Bijection));
        blocks
    }

    /// What inverts the channel maps of the level: many batches need it once.
    pub(crate) fn inverse_maps(&self) -> Result<InverseMaps> {
        let steps = self.steps.parts().iter().map(FlowStep::inverse_map);
        let end = self.end.as_ref().map(InvertibleConv1x1::inverse_map);
        Ok(InverseMaps {
            steps: steps.collect::<Result<_>>()?,
            end: end.transpose()?,
        })
    }

    /// The inverse of a level, given its [`inverse_maps`](Self::inverse_maps), each part's output passed
    /// through `limit`.
    pub(crate) fn inverse_by(
        &self,
        maps: &InverseMaps,
        y: &Tensor,
        limit: Limit,
    ) -> Result<Tensor> {
        let y = match &self.split {
            Some(split) => limit(split.inverse(y)?)?,
            None => y.clone(),
        };
        let y = match &maps.end {
            Some(end) => limit(end.apply(&y)?)?,
            None => y,
        };
        let mut steps = self.steps.parts().iter().zip(&maps.steps).rev();
        let squeezed = steps.try_fold(y, |y, (step, map)| step.inverse_by(map, &y, limit))?;
        Squeeze.inverse(&squeezed)
    }
}

impl Bijection for Level {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        // Squeezing moves numbers about: its log-determinant is zero.
        let (squeezed, _) = Squeeze.forward(x)?;
        let (mut y, mut log_det) = self.steps.forward(&squeezed)?;
        if let Some(end) = &self.end {
            let (mixed, end_log_det) = end.forward(&y)?;
            (y, log_det) = (mixed, (log_det + end_log_det)?);
        }
        let Some(split) = &self.split else {
            return Ok((y, log_det));
        };
        let (y, split_log_det) = split.forward(&y)?;
        Ok((y, (log_det + split_log_det)?))
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        self.inverse_by(&self.inverse_maps()?, y, Ok)
    }

    fn backward(
        &self,
        y: &Tensor,
        grad_y: &Tensor,
        grad_log_det: &Tensor,
        grads: &mut Gradients,
    ) -> Result<(Tensor, Tensor)> {
        let state = (y.clone(), grad_y.clone());
        let mut blocks = self.blocks().into_iter().rev();
        blocks.try_fold(state, |(y, grad_y), block| {
            block.backward(&y, &grad_y, grad_log_det, grads)
        })
    }

    fn initialize(&self, x: &Tensor) -> Result<Tensor> {
        let mut y = self.steps.initialize(&Squeeze.initialize(x)?)?;
        if let Some(end) = &self.end {
            y = end.initialize(&y)?;
        }
        match &self.split {
            Some(split) => split.initialize(&y),
            None => Ok(y),
        }
    }
}
