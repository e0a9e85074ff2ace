//! The loop behind [`fit`](super::fit).

use super::batches::{Batches, Shuffled};
use super::training::{Training, Weights};
use super::{
    Data, Divergence, Epoch, Fit, FitSettings, Memory, RUN, Validation, cause, gradient, log_prob,
    mean_loss,
};
use crate::params::ParamStore;
use crate::{Bijection, Flow, Gradients, Result, random};
use candle_core::bail;
use std::ops::ControlFlow;

/// Rows of the loss after an epoch, if nothing is held out.
const MEASURED: usize = 1 << 12;

/// Constants of a fit.
pub(super) struct Fitting<'a, B> {
    flow: &'a Flow<B>,
    params: &'a ParamStore,
    settings: &'a FitSettings,
    /// The batch that initialises parameters.
    first: Data,
    /// Samples by which epochs are compared.
    compared: Data,
    /// True if these are held out.
    held_out: bool,
    /// All training data, if epochs are compared by a part of them.
    all: Option<Data>,
    /// Number of planned steps.
    steps: u64,
}

impl<'a, B: Bijection> Fitting<'a, B> {
    /// A fit to data in memory, and their batches.
    ///
    /// # Errors
    /// If no training data are left, or `params` are not those of the flow.
    pub(super) fn new(
        flow: &'a Flow<B>,
        params: &'a ParamStore,
        settings: &'a FitSettings,
        data: &Data,
    ) -> Result<(Self, Shuffled<'a>)> {
        let (train, held_out) = match &settings.validation {
            Validation::Share(share) => data.split(*share, settings.seed)?,
            Validation::Samples(held_out) => (data.clone(), Some(held_out.clone())),
        };
        let count = train.count()?;
        let (compared, all) = match &held_out {
            Some(held_out) => (held_out.clone(), None),
            None if count > MEASURED => {
                let shuffled = train.shuffled(random::derive(settings.seed, "measured"))?;
                (shuffled.rows(0, MEASURED)?, Some(train.clone()))
            }
            None => (train.clone(), None),
        };
        let batches = count.div_ceil(settings.batch_size);
        let fitting = Self {
            flow,
            params,
            settings,
            first: train.rows(0, settings.batch_size.min(count))?,
            compared,
            held_out: held_out.is_some(),
            all,
            steps: settings
                .max_steps
                .min(batches.saturating_mul(settings.epochs)) as u64,
        };
        fitting.check_parameters()?;
        Ok((fitting, Shuffled { train, settings }))
    }

    /// A fit to batches that are not in memory together.
    ///
    /// # Errors
    /// If the number of steps or held-out samples are missing, there is no batch, or `params` are
    /// not those of the flow.
    pub(super) fn to_batches(
        flow: &'a Flow<B>,
        params: &'a ParamStore,
        settings: &'a FitSettings,
        batches: &mut dyn Batches<'_>,
    ) -> Result<Self> {
        let Validation::Samples(held_out) = &settings.validation else {
            bail!("training: batches need held-out samples: give `Validation::Samples`");
        };
        if settings.max_steps == usize::MAX {
            bail!("training: batches need a number of steps: give `max_steps`");
        }
        let Some(first) = batches.epoch(1)?.next() else {
            bail!("training: there are no batches");
        };
        let fitting = Self {
            flow,
            params,
            settings,
            first: first?,
            compared: held_out.clone(),
            held_out: true,
            all: None,
            steps: settings.max_steps as u64,
        };
        fitting.check_parameters()?;
        Ok(fitting)
    }

    fn check_parameters(&self) -> Result<()> {
        let rows = RUN.host.min(self.first.count()?);
        let rows = self.first.rows(0, rows)?;
        Gradients::check(&log_prob(self.flow, &rows)?.sum_all()?, self.params)
    }

    pub(super) fn run(
        &self,
        state: &mut Training,
        batches: &mut dyn Batches<'_>,
        mut progress: impl FnMut(&Epoch) -> ControlFlow<()>,
    ) -> Result<Fit> {
        if let Some(last) = state.last.take() {
            last.restore()?;
            if let Some(best) = state.best.filter(|_| self.is_over(state)) {
                return self.finish(state, best);
            }
        } else if self.settings.initialize {
            let first = &self.first;
            first.bind(self.flow, |flow| flow.initialize(&first.x))?;
            self.finite_loss(first, state)?;
            state.weights = Weights::of(self.params)?;
        }
        loop {
            state.epoch += 1;
            state.unsound_inversions = 0;
            let Some(running_loss) = self.epoch(state, batches)? else {
                state.epoch -= 1;
                return match state.best {
                    Some(best) => self.finish(state, best),
                    None => bail!("training: interrupted before the end of its first epoch"),
                };
            };
            state.store.swap_averages(self.params)?;
            let report = self.measure(state, running_loss)?;
            let best = match state.best {
                Some(best) if !report.best => best,
                _ => report,
            };
            if report.best {
                state.weights = Weights::of(self.params)?;
            }
            state.best = Some(best);
            let patience = state.epoch - best.epoch >= self.settings.patience;
            let ends = progress(&report).is_break() || patience || self.is_over(state);
            state.store.swap_averages(self.params)?;
            if ends {
                return self.finish(state, best);
            }
        }
    }

    /// The seed of a step, the same after a training went on.
    fn seed(&self, state: &Training) -> u64 {
        let updates = state.steps.updates;
        random::derive(self.settings.seed, &format!("step {updates}"))
    }

    fn is_over(&self, state: &Training) -> bool {
        state.steps.updates >= self.steps || state.epoch >= self.settings.epochs
    }

    /// Passes over the data once, and returns the mean loss of its steps; nothing if it was
    /// interrupted.
    fn epoch(&self, state: &mut Training, batches: &mut dyn Batches<'_>) -> Result<Option<f64>> {
        let (mut sum, mut rows) = (0.0, 0);
        for batch in batches.epoch(state.epoch)? {
            if state.steps.updates == self.steps {
                break;
            }
            if self.settings.interrupted() {
                return Ok(None);
            }
            let batch = batch?;
            state.batch = Some(batch.clone());
            sum += self.step(state, &batch)? * batch.count()? as f64;
            rows += batch.count()?;
        }
        if rows == 0 {
            bail!("training: epoch {} has no batches", state.epoch);
        }
        Ok(Some(sum / rows as f64))
    }

    /// Updates the weights, and returns the loss before.
    fn step(&self, state: &mut Training, batch: &Data) -> Result<f64> {
        let seed = self.seed(state);
        let of_memory = |memory| gradient(self.flow, self.params, batch, memory, seed);
        let (mut gradient, inversion) = of_memory(self.settings.memory)?;
        if !inversion.is_sound() {
            state.unsound_inversions += 1;
            (gradient, _) = of_memory(Memory::Plain)?;
        }
        let (loss, norm) = (gradient.loss, gradient.norm);
        let updates = state.steps.updates;
        // A jump is accepted: −ln p of vectors has no natural scale to detect one, and the best
        // weights are kept.
        if let Err(cause) = Divergence::check_finite(loss, norm) {
            state.gradient_failed = cause == Divergence::Gradient;
            bail!(
                "training: at step {updates} the loss is {loss} and the norm of its gradient {norm}{}",
                state.advice()
            );
        }
        let settings = &self.settings.optimization;
        let rate = settings.learning_rate_at(updates, updates as f64 / self.steps as f64);
        let Training { steps, store, .. } = state;
        steps.take(&gradient, rate, settings, store)?;
        Ok(loss)
    }

    /// The report of an epoch whose steps had the mean loss `running_loss`.
    fn measure(&self, state: &Training, running_loss: f64) -> Result<Epoch> {
        let loss = self.finite_loss(&self.compared, state)?;
        Ok(Epoch {
            epoch: state.epoch,
            steps: state.steps.updates as usize,
            train: if self.held_out { running_loss } else { loss },
            validation: self.held_out.then_some(loss),
            unsound_inversions: state.unsound_inversions,
            best: state.best.is_none_or(|best| loss < best.loss()),
        })
    }

    /// Keeps the requested weights, and measures the training loss on all data.
    fn finish(&self, state: &mut Training, mut best: Epoch) -> Result<Fit> {
        state.last = Some(Weights::of(self.params)?);
        if self.settings.keep_best {
            state.weights.restore()?;
            if let Some(all) = &self.all {
                best.train = self.finite_loss(all, state)?;
            }
        } else {
            state.store.swap_averages(self.params)?;
            let averages = Weights::of(self.params)?;
            state.store.swap_averages(self.params)?;
            averages.restore()?;
        }
        Ok(Fit {
            best,
            epochs: state.epoch,
        })
    }

    fn finite_loss(&self, data: &Data, state: &Training) -> Result<f64> {
        let loss = mean_loss(self.flow, data)?;
        if !loss.is_finite() {
            bail!(
                "training: after {} steps the loss is {loss}{}",
                state.steps.updates,
                state.advice()
            );
        }
        Ok(loss)
    }

    /// Restores the best weights after `error`, whose cause may lie in `data` or, without them, in
    /// the last batch.
    pub(super) fn explain(
        &self,
        error: candle_core::Error,
        state: &Training,
        data: Option<&Data>,
    ) -> Result<Fit> {
        state.weights.restore()?;
        if self.settings.interrupted() {
            return Err(error);
        }
        let cause = data
            .or(state.batch.as_ref())
            .map(|data| self.cause(data, state));
        match cause {
            Some(Ok(Some(cause))) => bail!("training: {cause}"),
            _ => Err(error),
        }
    }

    /// The cause of a failure, if it lies in the data and not in the weights.
    fn cause(&self, data: &Data, state: &Training) -> Result<Option<String>> {
        if let Some(cause) = cause::in_rows(self.flow, data)? {
            return Ok(Some(cause));
        }
        match cause::in_columns(data)? {
            None if state.gradient_failed => {
                cause::in_gradients(self.flow, self.params, data, self.seed(state))
            }
            cause => Ok(cause),
        }
    }
}
