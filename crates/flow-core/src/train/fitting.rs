//! The loop behind [`fit`](super::fit).

use super::{
    Data, Divergence, Epoch, Fit, FitSettings, Memory, MemoryStore, RUN, Steps, cause, gradient,
    log_prob, mean_loss,
};
use crate::params::ParamStore;
use crate::{Bijection, Flow, Gradients, Result, random};
use candle_core::{Tensor, Var, bail};
use std::ops::ControlFlow;

/// Rows of the loss after an epoch, if nothing is held out.
const MEASURED: usize = 1 << 12;

/// Constants of a fit.
pub(super) struct Fitting<'a, B> {
    flow: &'a Flow<B>,
    params: &'a ParamStore,
    settings: &'a FitSettings,
    train: Data,
    held_out: Option<Data>,
    /// Rows of the loss by which epochs are compared, if nothing is held out.
    measured: Data,
    /// Number of planned steps.
    steps: u64,
}

/// State of a fit.
pub(super) struct State {
    steps: Steps,
    store: MemoryStore,
    epoch: usize,
    best: Option<Epoch>,
    /// Steps of this epoch whose inversion was not sound.
    unsound_inversions: usize,
    /// The best weights so far.
    weights: Vec<(Var, Tensor)>,
    /// True if a gradient was not finite, false if a loss.
    gradient_failed: bool,
}

impl State {
    pub(super) fn new(params: &ParamStore) -> Result<Self> {
        Ok(Self {
            steps: Steps::default(),
            store: MemoryStore::default(),
            epoch: 0,
            best: None,
            unsound_inversions: 0,
            weights: copies(params)?,
            gradient_failed: false,
        })
    }

    /// The learning rate cannot have spoilt weights before the first update.
    fn advice(&self) -> &'static str {
        match self.steps.updates {
            0 => "",
            _ => "; take a lower learning rate",
        }
    }

    /// Restores the best weights so far.
    pub(super) fn restore(&self) -> Result<()> {
        let mut weights = self.weights.iter();
        weights.try_for_each(|(var, value)| var.set(value))
    }
}

impl<'a, B: Bijection> Fitting<'a, B> {
    /// # Errors
    /// If no training data are left, or `params` are not those of the flow.
    pub(super) fn new(
        flow: &'a Flow<B>,
        params: &'a ParamStore,
        settings: &'a FitSettings,
        data: &Data,
    ) -> Result<Self> {
        let (train, held_out) = data.split(settings.validation, settings.seed)?;
        let count = train.count()?;
        let measured = if count > MEASURED {
            let shuffled = train.shuffled(random::derive(settings.seed, "measured"))?;
            shuffled.rows(0, MEASURED)?
        } else {
            train.clone()
        };
        let rows = train.rows(0, RUN.host.min(count))?;
        Gradients::check(&log_prob(flow, &rows)?.sum_all()?, params)?;
        let batches = count.div_ceil(settings.batch_size);
        Ok(Self {
            flow,
            params,
            settings,
            train,
            held_out,
            measured,
            steps: settings
                .max_steps
                .min(batches.saturating_mul(settings.epochs)) as u64,
        })
    }

    pub(super) fn run(
        &self,
        state: &mut State,
        mut progress: impl FnMut(&Epoch) -> ControlFlow<()>,
    ) -> Result<Fit> {
        if self.settings.initialize {
            let count = self.settings.batch_size.min(self.train.count()?);
            let batch = self.train.rows(0, count)?;
            batch.bind(self.flow, |flow| flow.initialize(&batch.x))?;
            self.finite_loss(&batch, state)?;
            state.weights = copies(self.params)?;
        }
        loop {
            state.epoch += 1;
            state.unsound_inversions = 0;
            let running_loss = self.epoch(state)?;
            state.store.swap_averages(self.params)?;
            let report = self.measure(state, running_loss)?;
            let best = match state.best {
                Some(best) if !report.best => best,
                _ => report,
            };
            if report.best {
                state.weights = copies(self.params)?;
            }
            state.best = Some(best);
            let patience = state.epoch - best.epoch >= self.settings.patience;
            if progress(&report).is_break() || patience || state.steps.updates == self.steps {
                return self.finish(state, best);
            }
            state.store.swap_averages(self.params)?;
        }
    }

    /// Passes over the data once, and returns the mean loss of its steps.
    fn epoch(&self, state: &mut State) -> Result<f64> {
        let label = format!("epoch {}", state.epoch);
        let shuffled = self
            .train
            .shuffled(random::derive(self.settings.seed, &label))?;
        let (mut sum, mut rows) = (0.0, 0);
        let count = self.train.count()?;
        for start in (0..count).step_by(self.settings.batch_size) {
            if state.steps.updates == self.steps {
                break;
            }
            let batch = shuffled.rows(start, self.settings.batch_size.min(count - start))?;
            sum += self.step(state, &batch)? * batch.count()? as f64;
            rows += batch.count()?;
        }
        Ok(sum / rows as f64)
    }

    /// Updates the weights, and returns the loss before.
    fn step(&self, state: &mut State, batch: &Data) -> Result<f64> {
        let of_memory = |memory| gradient(self.flow, self.params, batch, memory);
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
        let State { steps, store, .. } = state;
        steps.take(&gradient, rate, settings, store)?;
        Ok(loss)
    }

    /// The report of an epoch whose steps had the mean loss `running_loss`.
    fn measure(&self, state: &State, running_loss: f64) -> Result<Epoch> {
        let data = self.held_out.as_ref().unwrap_or(&self.measured);
        let loss = self.finite_loss(data, state)?;
        let held_out = self.held_out.is_some();
        Ok(Epoch {
            epoch: state.epoch,
            steps: state.steps.updates as usize,
            train: if held_out { running_loss } else { loss },
            validation: held_out.then_some(loss),
            unsound_inversions: state.unsound_inversions,
            best: state.best.is_none_or(|best| loss < best.loss()),
        })
    }

    /// Keeps the requested weights, and measures the training loss on all data.
    fn finish(&self, state: &State, mut best: Epoch) -> Result<Fit> {
        if self.settings.keep_best {
            state.restore()?;
            if self.held_out.is_none() && self.train.count()? > MEASURED {
                best.train = self.finite_loss(&self.train, state)?;
            }
        }
        Ok(Fit {
            best,
            epochs: state.epoch,
        })
    }

    fn finite_loss(&self, data: &Data, state: &State) -> Result<f64> {
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

    /// The cause of a failure, if it lies in the data and not in the weights.
    pub(super) fn cause(&self, data: &Data, state: &State) -> Result<Option<String>> {
        if let Some(cause) = cause::in_rows(self.flow, data)? {
            return Ok(Some(cause));
        }
        match cause::in_columns(data)? {
            None if state.gradient_failed => cause::in_gradients(self.flow, self.params, data),
            cause => Ok(cause),
        }
    }
}

fn copies(params: &ParamStore) -> Result<Vec<(Var, Tensor)>> {
    let copy = |(_, var): (String, Var)| Ok((var.clone(), var.copy()?));
    params.vars().into_iter().map(copy).collect()
}
