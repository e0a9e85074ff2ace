//! Gradients of a batch, from runs of its samples that are differentiated side by side.

use super::by_inversion::{Inversion, Memory, Returning, backward_in_step};
use super::{Data, LossGradient, run_length};
use crate::params::ParamStore;
use crate::runs::{Rows, runs, side_by_side};
use crate::{Bijection, Flow, Gradients, Result, random, transfer};
use candle_core::{Device, Error, Tensor, Var, bail};

/// The sum of the losses of `runs` and its gradient, added in order. `loss` returns a loss with a
/// graph, and the number to report for it; `none` names the parameters.
///
/// # Errors
/// The first error of `loss`.
pub fn gradient_of_runs<T: Send, E: From<Error> + Send>(
    device: &Device,
    runs: Vec<T>,
    none: &Gradients,
    loss: impl Fn(T) -> std::result::Result<(Tensor, Tensor), E> + Send + Sync,
) -> std::result::Result<(f64, Gradients), E> {
    let results = side_by_side(device, runs, |run| {
        let (loss, reported) = loss(run)?;
        let mut gradients = none.none();
        gradients.add(&loss.backward()?)?;
        std::result::Result::<_, E>::Ok((transfer::scalar(&reported)?, gradients))
    })?;
    let (losses, gradients): (Vec<_>, Vec<_>) = results.into_iter().unzip();
    let mut sum = none.none();
    sum.append(gradients)?;
    Ok((losses.iter().sum(), sum))
}

/// The mean loss of a batch under `flow` and its gradient, with dropout drawn from `seed`; with
/// constant `memory`, also the error of inversion.
pub(super) fn gradient<B: Bijection>(
    flow: &Flow<B>,
    params: &ParamStore,
    batch: &Data,
    memory: Memory,
    seed: u64,
) -> Result<(LossGradient, Inversion)> {
    let count = batch.count()?;
    if count == 0 {
        bail!("training: a batch is empty");
    }
    let none = Gradients::new(params);
    let runs = runs(batch.x.device(), count, run_length(count));
    let of_run = |run: &Rows| Result::Ok((in_training(flow, run, seed)?, batch.of(run)?));
    let (loss, gradients, inversion) = match memory {
        Memory::Plain => {
            let of_run = |run| {
                let (flow, data) = of_run(&run)?;
                let log_prob = data.weigh(log_prob(&flow, &data)?)?;
                let loss = (log_prob.sum_all()? * (-1.0 / count as f64))?;
                Result::Ok((loss.clone(), loss))
            };
            let (loss, sum) = gradient_of_runs(batch.x.device(), runs, &none, of_run)?;
            (loss, sum, Inversion::default())
        }
        Memory::Constant => {
            let runs = runs.iter().map(of_run).collect::<Result<Vec<_>>>()?;
            by_inversion(&runs, &none, count)?
        }
    };
    Ok((LossGradient::new(loss, gradients)?, inversion))
}

/// `flow` for a run of a batch, with dropout drawn from the batch's `seed`.
pub(super) fn in_training<'a, B: Bijection>(
    flow: &'a Flow<B>,
    run: &Rows,
    seed: u64,
) -> Result<Flow<Box<dyn Bijection + 'a>>> {
    let start = run.range().start;
    flow.in_training(random::derive(seed, &format!("row {start}")))
}

/// The same for the runs of a batch of `count`, with their flows, from the latents alone.
fn by_inversion<B: Bijection>(
    runs: &[(Flow<B>, Data)],
    none: &Gradients,
    count: usize,
) -> Result<(f64, Gradients, Inversion)> {
    let device = runs[0].1.x.device();
    let maps = runs.iter().map(|(flow, data)| data.given(flow.bijection()));
    let maps = maps.collect::<Result<Vec<_>>>()?;
    let maps = maps.iter().map(|map| &**map).collect::<Vec<_>>();
    let work = runs.iter().zip(&maps).collect();
    let latents = side_by_side(device, work, |run: (&(Flow<B>, Data), &&dyn Bijection)| {
        let ((flow, data), map) = run;
        let (z, log_det) = map.frozen(&Rows::all(data.count()?))?.forward(&data.x)?;
        let leaves = [&z, &log_det].map(|leaf| Var::from_tensor(&leaf.detach()));
        let [z, log_det] = leaves;
        let (z, log_det) = (z?, log_det?);
        let log_prob = data.add_log_prob(flow, log_det.as_tensor(), z.as_tensor())?;
        let loss = (data.weigh(log_prob)?.sum_all()? * (-1.0 / count as f64))?;
        let mut of_base = none.none();
        let one = loss.ones_like()?;
        let [grad, grad_log_det] = of_base.pull_back(&[(&loss, &one)], [&z, &log_det])?;
        let returning = Returning {
            grad,
            grad_log_det,
            x: z.as_detached_tensor(),
        };
        Result::Ok((transfer::scalar(&loss)?, of_base, returning))
    })?;
    let (mut loss, mut sum, mut returning) = (0.0, none.none(), Vec::new());
    for (of_run, of_base, run) in latents {
        loss += of_run;
        sum.append([of_base])?;
        returning.push(run);
    }
    let back = backward_in_step(device, &maps, returning, none, &mut |parts| {
        sum.append(parts)
    })?;
    let mut inversion = Inversion::default();
    for ((_, data), back) in runs.iter().zip(&back) {
        inversion.compare(&back.x, &data.x, 0)?;
    }
    Ok((loss, sum, inversion))
}

/// ln p of all of `data`, with a graph.
pub(super) fn log_prob<B: Bijection>(flow: &Flow<B>, data: &Data) -> Result<Tensor> {
    data.bind(flow, |flow| flow.with_graph().log_prob(&data.x))
}
