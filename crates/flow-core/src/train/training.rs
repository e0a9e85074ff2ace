//! The state of a fit between its epochs.

#[cfg(feature = "file")]
mod file;

use super::batches::Streamed;
use super::fitting::Fitting;
use super::{Data, Epoch, Fit, FitSettings, MemoryStore, Steps};
use crate::params::ParamStore;
use crate::{Bijection, Flow, Result};
use candle_core::{Tensor, Var};
use std::ops::ControlFlow;

/// A fit that can go on where it stopped: its steps, moments and averages, and the last and the best
/// weights. Going on gives the same bits as a fit that never stopped.
///
/// ```
/// use candle_core::{DType, Device};
/// use flow_core::train::{FitSettings, Training};
/// use flow_core::{random, recipes};
/// use std::ops::ControlFlow::{Break, Continue};
///
/// let x = random::normal(0, (300, 2), DType::F32, &Device::Cpu)?;
/// let model = recipes::realnvp(2).layers(2).width(8).build(0, DType::F32, &Device::Cpu)?;
/// let settings = FitSettings { epochs: 4, ..FitSettings::default() };
/// let mut training = Training::new(model.params())?;
/// model.resume(&mut training, &x, &settings, |_| Break(()))?;
/// let fit = model.resume(&mut training, &x, &settings, |_| Continue(()))?;
/// assert_eq!(fit.epochs, 4);
/// # candle_core::Result::Ok(())
/// ```
///
/// With the feature `file`, `save` and `load` keep it between processes.
pub struct Training {
    pub(super) steps: Steps,
    pub(super) store: MemoryStore,
    pub(super) epoch: usize,
    pub(super) best: Option<Epoch>,
    /// Steps of this epoch whose inversion was not sound.
    pub(super) unsound_inversions: usize,
    /// The best weights so far.
    pub(super) weights: Weights,
    /// The weights after the last step; those of the flow are the best ones between two runs.
    pub(super) last: Option<Weights>,
    /// True if a gradient was not finite, false if a loss.
    pub(super) gradient_failed: bool,
    /// The batch of the last step.
    pub(super) batch: Option<Data>,
}

impl Training {
    /// A training of the parameters `params` that has not begun.
    ///
    /// # Errors
    /// If they cannot be copied.
    pub fn new(params: &ParamStore) -> Result<Self> {
        Ok(Self {
            steps: Steps::default(),
            store: MemoryStore::default(),
            epoch: 0,
            best: None,
            unsound_inversions: 0,
            weights: Weights::of(params)?,
            last: None,
            gradient_failed: false,
            batch: None,
        })
    }

    /// Number of completed epochs.
    pub fn epochs(&self) -> usize {
        self.epoch
    }

    /// As [`fit`](super::fit), from where this training stopped. A training that has come to its end
    /// gives its result again.
    ///
    /// # Errors
    /// As [`fit`](super::fit).
    pub fn fit<B: Bijection>(
        &mut self,
        flow: &Flow<B>,
        params: &ParamStore,
        data: impl Into<Data>,
        settings: &FitSettings,
        progress: impl FnMut(&Epoch) -> ControlFlow<()>,
    ) -> Result<Fit> {
        settings.check()?;
        let data = data.into();
        data.check()?;
        let (fitting, mut batches) = Fitting::new(flow, params, settings, &data)?;
        let fit = fitting.run(self, &mut batches, progress);
        fit.or_else(|error| fitting.explain(error, self, Some(&data)))
    }

    /// As [`fit_batches`](super::fit_batches), from where this training stopped.
    ///
    /// # Errors
    /// As [`fit_batches`](super::fit_batches).
    pub fn fit_batches<B: Bijection, I: Iterator<Item = Result<Data>>>(
        &mut self,
        flow: &Flow<B>,
        params: &ParamStore,
        batches: impl FnMut(usize) -> I,
        settings: &FitSettings,
        progress: impl FnMut(&Epoch) -> ControlFlow<()>,
    ) -> Result<Fit> {
        settings.check()?;
        let mut batches = Streamed(batches);
        let fitting = Fitting::to_batches(flow, params, settings, &mut batches)?;
        let fit = fitting.run(self, &mut batches, progress);
        fit.or_else(|error| fitting.explain(error, self, None))
    }

    /// The learning rate cannot have spoilt weights before the first update.
    pub(super) fn advice(&self) -> &'static str {
        match self.steps.updates {
            0 => "",
            _ => "; take a lower learning rate",
        }
    }
}

/// Values of all parameters, by name.
pub(super) struct Weights(Vec<(String, Var, Tensor)>);

impl Weights {
    pub(super) fn of(params: &ParamStore) -> Result<Self> {
        let copy = |(name, var): (String, Var)| {
            let value = var.copy()?;
            Ok((name, var, value))
        };
        let copies = params.vars().into_iter().map(copy);
        Ok(Self(copies.collect::<Result<_>>()?))
    }

    pub(super) fn restore(&self) -> Result<()> {
        let mut weights = self.0.iter();
        weights.try_for_each(|(_, var, value)| var.set(value))
    }
}
