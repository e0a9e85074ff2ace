//! Fitting a flow to data: shuffled batches, early stopping, and the best weights in the end.
//!
//! Nothing is printed; a callback sees how it goes after every epoch and can end it.

mod data;
mod settings;

pub use data::Data;
pub use settings::{FitSettings, Schedule};

use crate::device::is_host;
use crate::optimizer::{Moments, Update};
use crate::params::ParamStore;
use crate::{Bijection, Flow, Gradients, Result, random, transfer};
use candle_core::{Tensor, bail};
use rayon::prelude::*;
use std::ops::ControlFlow;

/// Rows that go through a flow together, on one thread.
const RUN: usize = 128;

/// The same where launching an operation costs more than its numbers: a bound on memory.
const RUN_OF_ACCELERATOR: usize = 1 << 14;

/// Where training stands after an epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epoch {
    /// Epochs that are over, this one included.
    pub epoch: usize,
    /// Steps taken.
    pub steps: usize,
    /// −ln p of the data trained on, the mean over this epoch while the weights moved; nats per sample.
    pub train: f64,
    /// −ln p of the data held out, nats per sample, if there are any.
    pub validation: Option<f64>,
    /// Whether these weights are the best so far: by `validation`, or by `train` where nothing is held out.
    pub best: bool,
}

/// What training has led to: the epoch whose weights the parameters now have, and how many there were.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// The best epoch.
    pub best: Epoch,
    /// Epochs in all.
    pub epochs: usize,
}

/// Maximises the likelihood of `data` under `flow`, all of whose parameters are in `params`.
///
/// `progress` is called after every epoch. With the same settings, data and initial weights the result is the
/// same, bit for bit, on the same machine, whatever the number of threads.
///
/// # Errors
/// If there are no data or no steps to take, shapes do not fit, or the likelihood is no longer a number.
pub fn fit<B: Bijection>(
    flow: &Flow<B>,
    params: &ParamStore,
    data: impl Into<Data>,
    settings: &FitSettings,
    mut progress: impl FnMut(&Epoch) -> ControlFlow<()>,
) -> Result<Fit> {
    settings.check()?;
    let (train, held_out) = data.into().split(settings.validation, settings.seed)?;
    let batches = train.count()?.div_ceil(settings.batch_size);
    let steps = settings
        .max_steps
        .min(batches.saturating_mul(settings.epochs));
    if settings.initialize {
        let batch = train.rows(0, settings.batch_size.min(train.count()?))?;
        batch.bind(flow, |flow| flow.initialize(&batch.x))?;
    }
    let mut moments = Moments::default();
    let mut kept = Vec::new();
    let mut best: Option<Epoch> = None;
    let mut step = 0;
    let mut epoch = 0;
    while step < steps {
        epoch += 1;
        let shuffled = train.shuffled(random::derive(settings.seed, &format!("epoch {epoch}")))?;
        let (mut sum, mut rows) = (0.0, 0);
        for start in (0..train.count()?).step_by(settings.batch_size) {
            if step == steps {
                break;
            }
            let batch = shuffled.rows(start, settings.batch_size.min(train.count()? - start))?;
            let (loss, gradients) = gradient(flow, params, &batch)?;
            let norm = gradients.global_norm()?;
            if !(loss.is_finite() && norm.is_finite()) {
                bail!(
                    "training: at step {step} the loss is {loss} and its gradient {norm}; take a lower learning rate"
                );
            }
            let rate = settings.learning_rate_at(step as f64 / steps as f64);
            let update = Update {
                gradient_scale: (settings.clip_norm / norm).min(1.0),
                ..Update::new(settings.optimizer, step as u64, rate)
            };
            moments.update(update, &gradients, None)?;
            sum += loss * batch.count()? as f64;
            rows += batch.count()?;
            step += 1;
        }
        let mut report = Epoch {
            epoch,
            steps: step,
            train: sum / rows as f64,
            validation: held_out
                .as_ref()
                .map(|data| mean_loss(flow, data))
                .transpose()?,
            best: false,
        };
        report.best = best.is_none_or(|best| report.loss() < best.loss());
        if report.best {
            best = Some(report);
            kept = if settings.keep_best {
                copies(params)?
            } else {
                Vec::new()
            };
        }
        let best_epoch = best.map_or(epoch, |best| best.epoch);
        if progress(&report).is_break() || epoch - best_epoch >= settings.patience {
            break;
        }
    }
    for (var, value) in kept {
        var.set(&value)?;
    }
    match best {
        Some(best) => Ok(Fit {
            best,
            epochs: epoch,
        }),
        None => bail!("training: there are no steps to take"),
    }
}

impl Epoch {
    /// What is made small.
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
    let losses = in_runs(&data, |run| {
        Ok(-transfer::scalar(&log_prob(flow, &run)?.sum_all()?)?)
    })?;
    Ok(losses.iter().sum::<f64>() / data.count()? as f64)
}

/// The mean loss of a batch and its gradient. Runs are differentiated side by side and added in their order.
fn gradient<B: Bijection>(
    flow: &Flow<B>,
    params: &ParamStore,
    batch: &Data,
) -> Result<(f64, Gradients)> {
    let scale = -1.0 / batch.count()? as f64;
    let mut sum = Gradients::new(params);
    let (losses, gradients): (Vec<_>, Vec<_>) = in_runs(batch, |run| {
        let loss = (log_prob(flow, &run)?.sum_all()? * scale)?;
        let mut gradients = sum.none();
        gradients.add(&loss.backward()?)?;
        Ok((transfer::scalar(&loss)?, gradients))
    })?
    .into_iter()
    .unzip();
    if losses.is_empty() {
        bail!("training: a batch is empty");
    }
    sum.append(gradients)?;
    Ok((losses.iter().sum(), sum))
}

fn log_prob<B: Bijection>(flow: &Flow<B>, data: &Data) -> Result<Tensor> {
    data.bind(flow, |flow| flow.log_prob(&data.x))
}

fn in_runs<T: Send>(data: &Data, work: impl Fn(Data) -> Result<T> + Send + Sync) -> Result<Vec<T>> {
    let (count, host) = (data.count()?, is_host(data.x.device()));
    let length = if host { RUN } else { RUN_OF_ACCELERATOR };
    let starts = (0..count).step_by(length).collect::<Vec<_>>();
    let run = |start: usize| work(data.rows(start, length.min(count - start))?);
    if host {
        starts.into_par_iter().map(run).collect()
    } else {
        starts.into_iter().map(run).collect()
    }
}

fn copies(params: &ParamStore) -> Result<Vec<(candle_core::Var, Tensor)>> {
    let copy = |(_, var): (String, candle_core::Var)| Ok((var.clone(), var.copy()?));
    params.vars().into_iter().map(copy).collect()
}
