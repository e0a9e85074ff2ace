//! A normalizing flow: a base distribution and a bijection from data to it.

mod bound;
mod saturation;

use crate::distribution::{Distribution, Tempered};
use crate::runs::{Rows, RunLength, in_runs};
use crate::{Bijection, Chain, Result, random, shape};
use bound::Bound;
use candle_core::{Tensor, bail};
use std::sync::Arc;

/// Vectors per run of scoring or sampling.
const RUN: RunLength = RunLength {
    host: 256,
    even: false,
    accelerator: 1 << 14,
};

/// A distribution of data x with latents z = f(x): ln p(x) = ln p_base(f(x)) + ln|det ∂f/∂x|.
///
/// Scoring and sampling record no graph, and process some hundred rows per run, side by side.
/// Memory is independent of the depth of the flow, and grows with the rows only by the results.
/// [`with_graph`](Self::with_graph) records a graph, for training and variational inference.
///
/// ```
/// use candle_core::{DType, Device};
/// use flow_core::{params::ParamStore, recipes};
///
/// let params = ParamStore::new(0);
/// let recipe = recipes::neural_spline_flow(2).context(1);
/// let flow = recipe.flow(&params.builder(DType::F32, &Device::Cpu))?;
/// let context = candle_core::Tensor::new(&[[0.5_f32]], &Device::Cpu)?;
/// let (x, log_prob) = flow.given(&context)?.sample_with_log_prob(10, 1)?;
/// assert_eq!((x.dims(), log_prob.dims()), (&[10, 2][..], &[10][..]));
///
/// let contexts = candle_core::Tensor::new(&[[0.5_f32], [1.0], [1.5]], &Device::Cpu)?;
/// assert_eq!(flow.sample_each(10, &contexts, 1)?.dims(), [3, 10, 2]);
/// # candle_core::Result::Ok(())
/// ```
pub struct Flow<B = Box<dyn Bijection>> {
    bijection: B,
    base: Arc<dyn Distribution>,
    run: RunLength,
}

impl<B: Bijection> Flow<B> {
    /// `bijection` maps data to the space of `base`.
    pub fn new(bijection: B, base: impl Distribution + 'static) -> Self {
        Self {
            bijection,
            base: Arc::new(base),
            run: RUN,
        }
    }

    /// The same flow with another number of samples per run of scoring or sampling. Results do not
    /// depend on it, but time and memory do; the default suits vectors.
    #[must_use]
    pub fn in_runs_of(self, run: RunLength) -> Self {
        Self { run, ..self }
    }

    /// The same base with another bijection.
    fn with<C>(&self, bijection: C) -> Flow<C> {
        Flow {
            bijection,
            base: self.base.clone(),
            run: self.run,
        }
    }

    /// The flow of data that first pass through `first`, such as their [`Whiten`](crate::Whiten).
    #[must_use]
    pub fn after(self, first: impl Bijection + 'static) -> Flow<Chain>
    where
        B: 'static,
    {
        Flow {
            bijection: Chain::of_two(first, self.bijection),
            base: self.base,
            run: self.run,
        }
    }

    /// The flow whose latents pass through `last` on their way to the base.
    #[must_use]
    pub fn before(self, last: impl Bijection + 'static) -> Flow<Chain>
    where
        B: 'static,
    {
        Flow {
            bijection: Chain::of_two(self.bijection, last),
            base: self.base,
            run: self.run,
        }
    }

    /// The map from data to latents.
    pub fn bijection(&self) -> &B {
        &self.bijection
    }

    /// The distribution of latents.
    pub fn base(&self) -> &dyn Distribution {
        &*self.base
    }

    /// The flow of data under a condition: `context` is `[B, K]`, a row for each sample, or `[1,
    /// K]`.
    ///
    /// # Errors
    /// If the flow takes no context, one is bound already, or its size differs.
    pub fn given(&self, context: &Tensor) -> Result<Flow<Box<dyn Bijection + '_>>> {
        let base = self.base_given(context)?;
        let takes_none = self.bijection.context().is_none() && self.base.context().is_some();
        let bijection: Box<dyn Bijection + '_> = if takes_none {
            Box::new(&self.bijection)
        } else {
            Box::new(Bound::new(&self.bijection, context)?)
        };
        Ok(Flow {
            bijection,
            base,
            run: self.run,
        })
    }

    /// The flow whose latents are the base's times `temperature`; samples are less diverse below 1.
    /// Densities are of these samples.
    ///
    /// # Errors
    /// If the temperature is negative or not finite.
    pub fn at_temperature(&self, temperature: f64) -> Result<Flow<&B>> {
        Ok(Flow {
            bijection: &self.bijection,
            base: Arc::new(Tempered::new(self.base.clone(), temperature)?),
            run: self.run,
        })
    }

    /// The same flow, borrowed, with the type of a conditioned one.
    pub fn unconditional(&self) -> Flow<Box<dyn Bijection + '_>> {
        self.with(Box::new(&self.bijection))
    }

    /// The same flow for one step of a training of one's own: dropout is drawn from `seed`. Fits
    /// take it; without dropout it is the flow itself.
    ///
    /// # Errors
    /// The errors of [`Bijection::in_training`].
    pub fn in_training(&self, seed: u64) -> Result<Flow<Box<dyn Bijection + '_>>> {
        let bijection = self.bijection.in_training(seed)?;
        let base = self.base.in_training(seed)?;
        Ok(Flow {
            bijection: bijection.unwrap_or_else(|| Box::new(&self.bijection)),
            base: base.unwrap_or_else(|| self.base.clone()),
            run: self.run,
        })
    }

    /// The same flow, whose likelihoods and samples record a graph.
    pub fn with_graph(&self) -> WithGraph<'_, B> {
        WithGraph(self)
    }

    /// ln p(x) of each sample of `x` `[B, …]`, `[B]`, in nats.
    ///
    /// # Errors
    /// If shapes do not fit.
    pub fn log_prob(&self, x: &Tensor) -> Result<Tensor> {
        let [log_prob] = self.in_runs(x, |flow, x| Ok([flow.log_prob(x)?]))?;
        Ok(log_prob)
    }

    /// Latents z of `x` `[B, …]`, and ln|det ∂z/∂x|, `[B]`.
    ///
    /// # Errors
    /// If shapes do not fit, or a context is missing.
    pub fn encode(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let [z, log_det] = self.in_runs(x, |flow, x| Ok(flow.0.bijection.forward(x)?.into()))?;
        Ok((z, log_det))
    }

    /// The x of the latents `z`.
    ///
    /// Finite latents of any size give finite numbers, which saturate at the range of their type.
    /// NaN stays NaN, and weights that give NaN everywhere still do.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn decode(&self, z: &Tensor) -> Result<Tensor> {
        let [x] = self.in_runs(z, |flow, z| {
            Ok([saturation::inverse(&flow.0.bijection, z)?])
        })?;
        Ok(x)
    }

    /// `count` independent draws, `[count, …]`, the same for the same `seed`:
    /// [`decode`](Self::decode) of draws from the base.
    ///
    /// # Errors
    /// If a context is missing, or has neither one row nor `count` rows.
    pub fn sample(&self, count: usize, seed: u64) -> Result<Tensor> {
        self.decode(&self.latents(count, seed)?)
    }

    /// Draws and ln p of each, `[count]`, cheaper than both apart.
    ///
    /// # Errors
    /// As [`sample`](Self::sample).
    pub fn sample_with_log_prob(&self, count: usize, seed: u64) -> Result<(Tensor, Tensor)> {
        let z = self.latents(count, seed)?;
        let [x, log_prob] = self.in_runs(&z, |flow, z| flow.inverse_with_log_prob(z))?;
        Ok((x, log_prob))
    }

    /// `count` independent draws for each of the contexts `[M, K]`, `[M, count, …]`.
    ///
    /// The draws for context m equal those of `given` with it alone and the seed
    /// `random::derive(seed, "context {m}")`. They do not depend on the other contexts.
    ///
    /// # Errors
    /// As [`given`](Self::given).
    pub fn sample_each(&self, count: usize, contexts: &Tensor, seed: u64) -> Result<Tensor> {
        let [x] = self.each(count, contexts, seed, |flow, z| Ok([flow.decode(z)?]))?;
        Ok(x)
    }

    /// The draws of [`sample_each`](Self::sample_each) and ln p of each given its context, `[M,
    /// count]`.
    ///
    /// # Errors
    /// As [`given`](Self::given).
    pub fn sample_each_with_log_prob(
        &self,
        count: usize,
        contexts: &Tensor,
        seed: u64,
    ) -> Result<(Tensor, Tensor)> {
        let [x, log_prob] = self.each(count, contexts, seed, |flow, z| {
            flow.in_runs(z, |flow, z| flow.inverse_with_log_prob(z))
        })?;
        Ok((x, log_prob))
    }

    /// Sets data-dependent parameters, such as ActNorm's statistics, from one batch `x`.
    ///
    /// # Errors
    /// If the batch is empty, or shapes do not fit.
    pub fn initialize(&self, x: &Tensor) -> Result<()> {
        if shape::batch("initialize", x)? == 0 {
            bail!("initialize: needs at least one sample");
        }
        self.bijection.initialize(x).map(|_| ())
    }

    /// The base for some rows of a batch, without a graph.
    fn frozen_base(&self, rows: &Rows) -> Result<Arc<dyn Distribution>> {
        let frozen = self.base.frozen(rows)?;
        Ok(frozen.unwrap_or_else(|| self.base.clone()))
    }

    /// Draws from the base, without a graph.
    fn latents(&self, count: usize, seed: u64) -> Result<Tensor> {
        self.frozen_base(&Rows::all(count))?.sample(count, seed)
    }

    /// The base under `context`, if it takes one.
    pub(crate) fn base_given(&self, context: &Tensor) -> Result<Arc<dyn Distribution>> {
        match self.base.context() {
            Some(_) => self.base.given(context),
            None => Ok(self.base.clone()),
        }
    }

    /// The results of `work` on all rows `[B, …]`, run by run, without a graph.
    fn in_runs<const N: usize>(
        &self,
        rows: &Tensor,
        work: impl Fn(WithGraph<'_, Box<dyn Bijection + '_>>, &Tensor) -> Result<[Tensor; N]>
        + Send
        + Sync,
    ) -> Result<[Tensor; N]> {
        let (batch, all) = (shape::batch("flow", rows)?, rows.detach());
        let whole = self.bijection.frozen(&Rows::all(batch))?;
        let runs = in_runs(rows.device(), batch, self.run, |run| {
            let frozen = Flow {
                bijection: whole.frozen(&run)?,
                base: self.frozen_base(&run)?,
                run: self.run,
            };
            let results = work(frozen.with_graph(), &run.of(&all)?)?;
            Result::Ok(results.map(|result| result.detach()))
        })?;
        joined(&runs)
    }

    /// The results of `draw` on separate latents for each context, a run of contexts at a time.
    fn each<const N: usize>(
        &self,
        count: usize,
        contexts: &Tensor,
        seed: u64,
        draw: impl Fn(&Flow<Box<dyn Bijection + '_>>, &Tensor) -> Result<[Tensor; N]> + Send + Sync,
    ) -> Result<[Tensor; N]> {
        self.given(contexts)?;
        let number = contexts.dim(0)?;
        let together = RunLength {
            host: self.run.host.div_ceil(count.max(1)),
            even: self.run.even,
            accelerator: self.run.accelerator.div_ceil(count.max(1)),
        };
        let runs = in_runs(contexts.device(), number, together, |run| {
            let latents = |context| {
                let seed = random::derive(seed, &format!("context {context}"));
                let base = self.base_given(&contexts.narrow(0, context, 1)?)?;
                base.sample(count, seed)
            };
            let mut z = run.range().map(latents).collect::<Result<Vec<_>>>()?;
            if z.is_empty() {
                z.push(self.base_given(&run.of(contexts)?)?.sample(0, seed)?);
            }
            let contexts = bound::repeated(&run.of(contexts)?, count)?;
            draw(&self.given(&contexts)?, &Tensor::cat(&z, 0)?)
        })?;
        let mut flat = joined(&runs)?;
        for tensor in &mut flat {
            let shape = [&[number, count], &tensor.dims()[1..]].concat();
            *tensor = tensor.reshape(shape)?;
        }
        Ok(flat)
    }
}

/// Results of runs, concatenated.
fn joined<const N: usize>(runs: &[[Tensor; N]]) -> Result<[Tensor; N]> {
    let mut results = runs[0].clone();
    for (index, result) in results.iter_mut().enumerate() {
        let parts = runs.iter().map(|run| &run[index]).collect::<Vec<_>>();
        *result = Tensor::cat(&parts, 0)?;
    }
    Ok(results)
}

/// A flow that records a graph of all its computations, for all rows at once. Gradients flow
/// through likelihoods and samples to the parameters, the data and the context.
///
/// Variational inference needs those of samples (Rezende & Mohamed 2015, arXiv:1505.05770).
pub struct WithGraph<'a, B>(&'a Flow<B>);

impl<B: Bijection> WithGraph<'_, B> {
    /// As [`Flow::log_prob`].
    ///
    /// # Errors
    /// As [`Flow::log_prob`].
    pub fn log_prob(&self, x: &Tensor) -> Result<Tensor> {
        shape::batch("flow", x)?;
        let (z, log_det) = self.0.bijection.forward(x)?;
        self.0.base.add_log_prob(&log_det, &z)
    }

    /// As [`Flow::sample`].
    ///
    /// # Errors
    /// As [`Flow::sample`].
    pub fn sample(&self, count: usize, seed: u64) -> Result<Tensor> {
        self.0.bijection.inverse(&self.0.base.sample(count, seed)?)
    }

    /// As [`Flow::sample_with_log_prob`].
    ///
    /// # Errors
    /// As [`Flow::sample_with_log_prob`].
    pub fn sample_with_log_prob(&self, count: usize, seed: u64) -> Result<(Tensor, Tensor)> {
        let [x, log_prob] = self.inverse_with_log_prob(&self.0.base.sample(count, seed)?)?;
        Ok((x, log_prob))
    }

    /// The x of the latents `z`, and ln p of each.
    pub(crate) fn inverse_with_log_prob(&self, z: &Tensor) -> Result<[Tensor; 2]> {
        let (x, log_det) = self.0.bijection.inverse_with_log_det(z)?;
        let log_prob = self.0.base.add_log_prob(&log_det.neg()?, z)?;
        Ok([x, log_prob])
    }
}
