//! Samples with their contexts.

use crate::inspect::check_finite;
use crate::runs::Rows;
use crate::{Bijection, Flow, Result, random, transfer};
use candle_core::{DType, Device, Tensor, bail};

/// Samples `[N, …]`, contexts `[N, …]` for a conditional flow, and weights if they do not count
/// alike.
#[derive(Clone, Debug)]
pub struct Data {
    pub(super) x: Tensor,
    context: Option<Tensor>,
    /// `[N]`, 1 on average.
    weights: Option<Tensor>,
}

impl From<&Tensor> for Data {
    fn from(x: &Tensor) -> Self {
        Self {
            x: x.detach(),
            context: None,
            weights: None,
        }
    }
}

impl From<(&Tensor, &Tensor)> for Data {
    /// Samples and their contexts.
    fn from((x, context): (&Tensor, &Tensor)) -> Self {
        Self {
            x: x.detach(),
            context: Some(context.detach()),
            weights: None,
        }
    }
}

impl From<&Data> for Data {
    fn from(data: &Data) -> Self {
        data.clone()
    }
}

impl Data {
    /// Samples, `[N, …]`.
    pub fn samples(&self) -> &Tensor {
        &self.x
    }

    /// Contexts of the samples, `[N, …]`.
    ///
    /// # Errors
    /// If the samples have no contexts.
    pub fn context(&self) -> Result<&Tensor> {
        match &self.context {
            Some(context) => Ok(context),
            None => bail!("the samples have no contexts"),
        }
    }

    /// True if the samples have contexts.
    pub fn has_context(&self) -> bool {
        self.context.is_some()
    }

    /// The same samples, with `f` applied to the contexts.
    ///
    /// # Errors
    /// The errors of `f`.
    pub fn map_context<E>(
        self,
        f: impl FnOnce(&Tensor) -> std::result::Result<Tensor, E>,
    ) -> std::result::Result<Data, E> {
        Ok(Data {
            context: self.context.as_ref().map(f).transpose()?,
            ..self
        })
    }

    /// The same contexts with other samples.
    #[must_use]
    pub fn with_samples(&self, x: &Tensor) -> Data {
        Data {
            x: x.detach(),
            ..self.clone()
        }
    }

    /// The same samples, each of which counts as often as its weight says, relative to the others:
    /// the loss is the mean of −w·ln p, with weights that are 1 on average. Samples with a weight
    /// of 0 are left out.
    ///
    /// # Errors
    /// If the number of weights differs from that of samples, one is negative or not finite, or all
    /// are 0.
    pub fn weighted(&self, weights: &[f64]) -> Result<Data> {
        let count = self.count()?;
        if weights.len() != count {
            bail!("training: {count} samples have {} weights", weights.len());
        }
        if let Some(row) = weights
            .iter()
            .position(|weight| !(*weight >= 0.0 && weight.is_finite()))
        {
            bail!("training: the weight of sample {row} is {}", weights[row]);
        }
        let rows = (0_u32..).zip(weights).filter(|(_, weight)| **weight > 0.0);
        let (rows, weights): (Vec<_>, Vec<_>) = rows.unzip();
        if rows.is_empty() {
            bail!("training: all weights are 0");
        }
        let count = weights.len();
        let mean = weights.iter().sum::<f64>() / count as f64;
        let weights = weights
            .iter()
            .map(|weight| weight / mean)
            .collect::<Vec<_>>();
        let (dtype, device) = (self.x.dtype(), self.x.device());
        let rows = transfer::upload(rows, count, DType::U32, device)?;
        let chosen = self.map(|tensor| tensor.contiguous()?.index_select(&rows, 0))?;
        Ok(Data {
            weights: Some(transfer::upload(weights, count, dtype, device)?),
            ..chosen
        })
    }

    /// `log_prob` `[N]` times the weights.
    pub(super) fn weigh(&self, log_prob: Tensor) -> Result<Tensor> {
        match &self.weights {
            Some(weights) => log_prob * weights,
            None => Ok(log_prob),
        }
    }

    /// The samples in `rows` and their contexts; one context can serve all.
    ///
    /// # Errors
    /// If their number differs from that of the batch of `rows`.
    pub fn of(&self, rows: &Rows) -> Result<Data> {
        let context = self.context.as_ref();
        Ok(Data {
            x: rows.of(&self.x)?,
            context: context
                .map(|context| rows.of_context(context))
                .transpose()?,
            weights: self
                .weights
                .as_ref()
                .map(|weights| rows.of(weights))
                .transpose()?,
        })
    }

    /// The same on `device`.
    ///
    /// # Errors
    /// If they cannot be copied there.
    pub fn on(&self, device: &Device) -> Result<Data> {
        self.map(|tensor| transfer::to_device(tensor, device))
    }

    /// The bijection under these contexts, or itself if it takes none.
    ///
    /// # Errors
    /// If the contexts do not fit the bijection.
    pub fn given<'a, B: Bijection>(&self, bijection: &'a B) -> Result<Box<dyn Bijection + 'a>> {
        match &self.context {
            Some(context) => bijection.given_if_taken(context),
            None => Ok(Box::new(bijection)),
        }
    }

    /// `log_det` + ln p of the latents `z` under these contexts.
    pub(super) fn add_log_prob<B: Bijection>(
        &self,
        flow: &Flow<B>,
        log_det: &Tensor,
        z: &Tensor,
    ) -> Result<Tensor> {
        match &self.context {
            Some(context) => flow.base_given(context)?.add_log_prob(log_det, z),
            None => flow.base().add_log_prob(log_det, z),
        }
    }

    pub(super) fn count(&self) -> Result<usize> {
        self.x.dim(0)
    }

    /// # Errors
    /// If the number of contexts differs from that of samples, or a number is not finite; the error
    /// names row and column.
    pub(super) fn check(&self) -> Result<()> {
        let count = self.count()?;
        if let Some(context) = &self.context {
            if context.dim(0)? != count {
                bail!(
                    "training: {count} samples have {} contexts",
                    context.dim(0)?
                );
            }
            check_finite("training: context", context)?;
        }
        check_finite("training", &self.x)
    }

    pub(super) fn rows(&self, start: usize, count: usize) -> Result<Data> {
        self.map(|tensor| tensor.narrow(0, start, count))
    }

    pub(super) fn shuffled(&self, seed: u64) -> Result<Data> {
        let count = self.count()?;
        let order = random::order(seed, count);
        let order = transfer::upload(order, count, DType::U32, self.x.device())?;
        self.map(|tensor| tensor.contiguous()?.index_select(&order, 0))
    }

    /// The training data, and the held-out `share` of all, drawn by `seed`.
    pub(super) fn split(&self, share: f64, seed: u64) -> Result<(Data, Option<Data>)> {
        let count = self.count()?;
        let held_out = (count as f64 * share).ceil() as usize;
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

    /// `work` with the flow under these contexts.
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

    /// `columns` copies of the row `good`; copy i takes column i from the row `bad`.
    pub(super) fn crossed(&self, good: usize, bad: usize) -> Result<Data> {
        let columns = self.x.dim(1)?;
        let cell = |index| u8::from(index / columns == index % columns);
        let mask = (0..columns * columns).map(cell).collect();
        let shape = (columns, columns);
        let mask = transfer::upload(mask, shape, DType::U8, self.x.device())?;
        let one = |tensor: &Tensor, row| tensor.narrow(0, row, 1)?.repeat((columns, 1));
        let (good_x, bad_x) = (one(&self.x, good)?, one(&self.x, bad)?);
        let context = self.context.as_ref().map(|context| one(context, good));
        Ok(Data {
            x: mask.where_cond(&bad_x, &good_x)?,
            context: context.transpose()?,
            weights: None,
        })
    }

    fn map(&self, f: impl Fn(&Tensor) -> Result<Tensor> + Copy) -> Result<Data> {
        let context = self.context.as_ref().map(f);
        Ok(Data {
            x: f(&self.x)?,
            context: context.transpose()?,
            weights: self.weights.as_ref().map(f).transpose()?,
        })
    }
}
