//! Training: a step of the optimiser and its settings, and fitting a flow to data by such steps.
//!
//! [`fit`] shuffles batches, stops early and ends with the best weights. It prints nothing; a
//! callback receives the progress of every epoch and can stop the training. [`fit_reverse_kl`] fits
//! a flow to an unnormalised density instead of data. Custom loops use [`Steps`].

mod batches;
mod by_inversion;
mod cause;
mod data;
mod fitting;
mod gradient;
mod guard;
mod in_place;
mod optimization;
mod optimizer;
mod reverse_kl;
mod settings;
mod state_store;
mod step;
mod training;

pub use by_inversion::{Inversion, Memory, Returning, backward_in_step};
pub use data::Data;
pub use gradient::gradient_of_runs;
pub use guard::{Divergence, Losses};
pub use optimization::{Optimization, RateFactor, Schedule};
pub use optimizer::{Optimizer, ParameterState};
pub use reverse_kl::{ReverseKlSettings, ReverseKlStep, fit_reverse_kl, with_gradient};
pub use settings::{FitSettings, Validation};
pub use state_store::{MemoryStore, StateStore};
pub use step::{LossGradient, Steps};
pub use training::Training;

use optimizer::Update;

use crate::params::ParamStore;
use crate::runs::{RunLength, in_runs};
use crate::{Bijection, Flow, Result, transfer};
use candle_core::bail;
use gradient::{gradient, log_prob};
use std::ops::ControlFlow;

/// Rows per run through a flow.
const RUN: RunLength = RunLength {
    host: 128,
    even: false,
    accelerator: 1 << 14,
};

/// Rows per run of a batch of `count` that is differentiated. Threads share small batches; the runs
/// of large ones are longer, since each pays for a graph and for gradients of all weights.
fn run_length(count: usize) -> RunLength {
    RunLength {
        host: (count / 16).clamp(RUN.host, 2 * RUN.host),
        ..RUN
    }
}

/// State of a training after an epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Epoch {
    /// Completed epochs, this one included.
    pub epoch: usize,
    /// Steps taken.
    pub steps: usize,
    /// −ln p of the training data, nats per sample. With held-out data: the mean over the steps of
    /// this epoch. Otherwise: that of the weights after it, on at most 4,096 samples, the same in
    /// all epochs.
    pub train: f64,
    /// −ln p of the held-out data, nats per sample.
    pub validation: Option<f64>,
    /// Steps of this epoch that stored all activations although [`FitSettings::memory`] asks for
    /// constant memory, because the inversion was not sound.
    pub unsound_inversions: usize,
    /// True if these weights are the best so far: by `validation`, or by `train` if nothing is held
    /// out.
    pub best: bool,
}

/// Result of a training: its best epoch, whose weights the parameters now have, and the number of
/// epochs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// The best epoch. If nothing is held out, its `train` is the [`mean_loss`] of all data.
    pub best: Epoch,
    /// Number of epochs.
    pub epochs: usize,
}

/// Maximises the likelihood of `data` under `flow`, all of whose parameters are in `params`.
///
/// `progress` is called after every epoch. Equal settings, data and initial weights give equal bits
/// on the same machine, with any number of threads.
///
/// # Errors
/// If a setting is invalid, there are no data, shapes do not fit, or `params` are not those of the
/// flow. If a number of the data or a likelihood is not finite; the error names the rows and
/// columns that cause it. After any error the parameters have the weights of the best epoch so far
/// or, before there is one, the initial ones.
pub fn fit<B: Bijection>(
    flow: &Flow<B>,
    params: &ParamStore,
    data: impl Into<Data>,
    settings: &FitSettings,
    progress: impl FnMut(&Epoch) -> ControlFlow<()>,
) -> Result<Fit> {
    Training::new(params)?.fit(flow, params, data, settings, progress)
}

/// As [`fit`], to batches that are not in memory together: `batches(epoch)` gives those of an
/// epoch, counted from 1. It is asked for the first batch once more than there are epochs.
///
/// `settings` must give `max_steps`, and held-out samples as [`Validation::Samples`]; the size of
/// batches is that of those given.
///
/// ```
/// use candle_core::{DType, Device};
/// use flow_core::train::{FitSettings, Validation, fit_batches};
/// use flow_core::{random, recipes};
/// use std::ops::ControlFlow;
///
/// let normal = |seed| random::normal(seed, (64, 2), DType::F32, &Device::Cpu);
/// let model = recipes::realnvp(2).layers(2).width(8).build(0, DType::F32, &Device::Cpu)?;
/// let settings = FitSettings {
///     max_steps: 20,
///     validation: Validation::Samples((&normal(0)?).into()),
///     ..FitSettings::default()
/// };
/// let batches = |epoch| (0..10).map(move |i| Ok((&normal(10 * epoch as u64 + i)?).into()));
/// fit_batches(&model, model.params(), batches, &settings, |_| ControlFlow::Continue(()))?;
/// # candle_core::Result::Ok(())
/// ```
///
/// # Errors
/// As [`fit`], and if a batch is an error.
pub fn fit_batches<B: Bijection, I: Iterator<Item = Result<Data>>>(
    flow: &Flow<B>,
    params: &ParamStore,
    batches: impl FnMut(usize) -> I,
    settings: &FitSettings,
    progress: impl FnMut(&Epoch) -> ControlFlow<()>,
) -> Result<Fit> {
    Training::new(params)?.fit_batches(flow, params, batches, settings, progress)
}

impl Epoch {
    /// The loss by which epochs are compared.
    fn loss(&self) -> f64 {
        self.validation.unwrap_or(self.train)
    }
}

/// −ln p of `data` under `flow`, the mean over samples, in nats.
///
/// # Errors
/// If there are no data, or their shapes do not fit.
pub fn mean_loss<B: Bijection>(flow: &Flow<B>, data: impl Into<Data>) -> Result<f64> {
    let data = data.into();
    let count = data.count()?;
    if count == 0 {
        bail!("mean loss: needs at least one sample");
    }
    let losses = in_runs(data.x.device(), count, RUN, |run| {
        let data = data.rows(run.range().start, run.range().len())?;
        let log_prob = data.weigh(data.bind(flow, |flow| flow.log_prob(&data.x))?)?;
        Result::Ok(-transfer::scalar(&log_prob.sum_all()?)?)
    })?;
    Ok(losses.iter().sum::<f64>() / count as f64)
}
