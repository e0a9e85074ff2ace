//! Samples and the contexts that belong to them.

use crate::{Bijection, Flow, Result, random, transfer};
use candle_core::{DType, Tensor, bail};

/// Samples `[N, …]`, and a context `[N, K]` for each where the flow takes one.
#[derive(Clone)]
pub struct Data {
    pub(super) x: Tensor,
    context: Option<Tensor>,
}

impl From<&Tensor> for Data {
    fn from(x: &Tensor) -> Self {
        Self {
            x: x.clone(),
            context: None,
        }
    }
}

impl From<(&Tensor, &Tensor)> for Data {
    /// Samples and their contexts.
    fn from((x, context): (&Tensor, &Tensor)) -> Self {
        Self {
            x: x.clone(),
            context: Some(context.clone()),
        }
    }
}

impl From<&Data> for Data {
    fn from(data: &Data) -> Self {
        data.clone()
    }
}

impl Data {
    pub(super) fn count(&self) -> Result<usize> {
        self.x.dim(0)
    }

    pub(super) fn rows(&self, start: usize, count: usize) -> Result<Data> {
        self.map(|tensor| tensor.narrow(0, start, count))
    }

    pub(super) fn shuffled(&self, seed: u64) -> Result<Data> {
        let count = self.count()?;
        let keys = random::uniform_numbers::<f64>(seed, count);
        let mut order = (0..count as u32).collect::<Vec<_>>();
        order.sort_by(|&a, &b| keys[a as usize].total_cmp(&keys[b as usize]));
        let order = transfer::upload(order, count, DType::U32, self.x.device())?;
        self.map(|tensor| tensor.contiguous()?.index_select(&order, 0))
    }

    /// What is trained on, and the given share of all, drawn by `seed`, that is held out.
    pub(super) fn split(&self, share: f64, seed: u64) -> Result<(Data, Option<Data>)> {
        let count = self.count()?;
        let held_out = (count as f64 * share).ceil() as usize;
        if let Some(context) = &self.context
            && context.dim(0)? != count
        {
            bail!(
                "training: {count} samples have {} contexts",
                context.dim(0)?
            );
        }
        if held_out >= count {
            bail!(
                "training: of {count} samples {held_out} would be held out, and none are left to train on"
            );
        }
        if held_out == 0 {
            return Ok((self.rows(0, count)?, None));
        }
        let shuffled = self.shuffled(random::derive(seed, "validation"))?;
        let train = shuffled.rows(held_out, count - held_out)?;
        Ok((train, Some(shuffled.rows(0, held_out)?)))
    }

    /// `work` with the flow of these contexts.
    pub(super) fn bind<B: Bijection, T>(
        &self,
        flow: &Flow<B>,
        work: impl FnOnce(&Flow<Box<dyn Bijection + '_>>) -> Result<T>,
    ) -> Result<T> {
        match &self.context {
            Some(context) => work(&flow.given(context)?),
            None => work(&flow.unconditional()),
        }
    }

    fn map(&self, f: impl Fn(&Tensor) -> Result<Tensor> + Copy) -> Result<Data> {
        let context = self.context.as_ref().map(f);
        Ok(Data {
            x: f(&self.x)?,
            context: context.transpose()?,
        })
    }
}
