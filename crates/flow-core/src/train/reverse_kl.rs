//! Variational inference: a flow is fitted to an unnormalised density by its own draws.

use super::gradient::{gradient_of_runs, in_training};
use super::{LossGradient, MemoryStore, Optimization, Steps, run_length};
use crate::params::ParamStore;
use crate::runs::{Rows, runs};
use crate::{Bijection, Flow, Gradients, Result, random, shape};
use candle_core::{Tensor, bail};
use std::ops::ControlFlow;

/// Settings of [`fit_reverse_kl`].
#[derive(Clone, Debug, PartialEq)]
pub struct ReverseKlSettings {
    /// Draws per step.
    pub batch_size: usize,
    /// Number of steps.
    pub steps: usize,
    /// Settings of a step. With an average of the weights, the fit ends with it.
    pub optimization: Optimization,
    /// Seeds the draws, and dropout.
    pub seed: u64,
}

impl Default for ReverseKlSettings {
    /// 2,000 steps of 256 draws, with Adam at 10⁻³ along a cosine.
    fn default() -> Self {
        Self {
            batch_size: 256,
            steps: 2_000,
            optimization: Optimization::default(),
            seed: 0,
        }
    }
}

/// A step of [`fit_reverse_kl`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReverseKlStep {
    /// Steps taken, this one included.
    pub step: usize,
    /// Estimate of ln Z from below (ELBO), in nats: the mean of ln p̃(x) − ln q(x) over the draws of
    /// the step.
    pub evidence_bound: f64,
}

/// Minimises KL(q‖p) of a flow q to a density p whose normaliser Z is unknown.
///
/// ```text
/// KL(q‖p) = E_q[ln q(x) − ln p̃(x)] + ln Z,  p = p̃/Z
/// ```
///
/// `log_density` gives ln p̃ of every row of `x` `[B, …]`, `[B]`, in nats. It must be finite on all
/// of ℝᴰ, and its gradient goes through candle; [`with_gradient`] takes one with a gradient of your
/// own. Flows that draw in one pass suit it, such as couplings and
/// [`inverse_autoregressive_flow`](crate::recipes::inverse_autoregressive_flow).
/// Outside of a [`Spline`](crate::Spline)'s `bound` a flow is affine: choose one that covers the
/// density, and scale what is wide. [`importance`](crate::importance) measures the result. Rezende &
/// Mohamed 2015 (arXiv:1505.05770).
///
/// `progress` is called after every step. Equal settings and initial weights give equal bits on the
/// same machine.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use flow_core::{recipes, train::ReverseKlSettings};
/// use std::ops::ControlFlow;
///
/// let model = recipes::neural_spline_flow(2).build(0, DType::F32, &Device::Cpu)?;
/// let log_density = |x: &Tensor| ((x - 1.0)?.sqr()? * -0.5)?.sum(1);
/// let settings = ReverseKlSettings { steps: 5, ..ReverseKlSettings::default() };
/// model.fit_reverse_kl(log_density, &settings, |_| ControlFlow::Continue(()))?;
/// # candle_core::Result::Ok(())
/// ```
///
/// # Errors
/// If a setting is invalid, `params` are not those of the flow, or the log density carries no
/// graph. If a loss or gradient is not finite; the parameters then have the weights before that
/// step.
pub fn fit_reverse_kl<B: Bijection>(
    flow: &Flow<B>,
    params: &ParamStore,
    log_density: impl Fn(&Tensor) -> Result<Tensor> + Send + Sync,
    settings: &ReverseKlSettings,
    mut progress: impl FnMut(&ReverseKlStep) -> ControlFlow<()>,
) -> Result<()> {
    let optimization = &settings.optimization;
    optimization.check()?;
    if settings.batch_size == 0 || settings.steps == 0 {
        bail!("reverse KL: batch_size and steps must be at least 1");
    }
    let z = flow.base().sample(1, settings.seed)?;
    let [_, log_prob] = flow.with_graph().inverse_with_log_prob(&z)?;
    Gradients::check(&log_prob.sum_all()?, params)?;

    let (mut steps, mut store) = (Steps::default(), MemoryStore::default());
    for step in 1..=settings.steps {
        let seed = random::derive(settings.seed, &format!("step {step}"));
        let z = flow.base().sample(settings.batch_size, seed)?;
        let gradient = gradient(flow, params, &log_density, &z, seed)?;
        let (loss, norm) = (gradient.loss, gradient.norm);
        if !(loss.is_finite() && norm.is_finite()) {
            bail!(
                "reverse KL: at step {step} the loss is {loss} and the norm of its gradient {norm}; the log \
                 density must be finite wherever the flow draws, or the learning rate lower"
            );
        }
        let done = (step - 1) as f64 / settings.steps as f64;
        let rate = optimization.learning_rate_at(steps.updates, done);
        steps.take(&gradient, rate, optimization, &mut store)?;
        let report = ReverseKlStep {
            step,
            evidence_bound: -loss,
        };
        if progress(&report).is_break() {
            break;
        }
    }
    store.swap_averages(params)
}

/// The mean of ln q − ln p̃ over the draws of the latents `z`, and its gradient, with dropout drawn
/// from `seed`.
fn gradient<B: Bijection>(
    flow: &Flow<B>,
    params: &ParamStore,
    log_density: &(impl Fn(&Tensor) -> Result<Tensor> + Send + Sync),
    z: &Tensor,
    seed: u64,
) -> Result<LossGradient> {
    let count = z.dim(0)?;
    let of_run = |run: Rows| {
        let flow = in_training(flow, &run, seed)?;
        let [x, log_prob] = flow.with_graph().inverse_with_log_prob(&run.of(z)?)?;
        let target = log_density(&x)?;
        if target.shape() != log_prob.shape() {
            return shape::refuse("log density", &target, &format!("{:?}", log_prob.dims()));
        }
        if !target.track_op() {
            bail!(
                "log density: no graph was recorded; compute it from x by candle operations, or give its \
                 gradient by `with_gradient`"
            );
        }
        let loss = ((log_prob - target)?.sum_all()? * (1.0 / count as f64))?;
        Result::Ok((loss.clone(), loss))
    };
    let (device, none) = (z.device(), Gradients::new(params));
    let (loss, gradients) = gradient_of_runs(
        device,
        runs(device, count, run_length(count)),
        &none,
        of_run,
    )?;
    LossGradient::new(loss, gradients)
}

/// A log density with a graph, from one that gives values `[B]` and gradients of the shape of `x`
/// `[B, …]`, such as a simulator or a model outside of candle.
///
/// ```
/// use flow_core::train::with_gradient;
///
/// let normal = with_gradient(|x| Ok(((x.sqr()? * -0.5)?.sum(1)?, x.neg()?)));
/// ```
pub fn with_gradient(
    log_density: impl Fn(&Tensor) -> Result<(Tensor, Tensor)> + Send + Sync,
) -> impl Fn(&Tensor) -> Result<Tensor> + Send + Sync {
    move |x| {
        let (value, gradient) = log_density(&x.detach())?;
        if gradient.shape() != x.shape() {
            return shape::refuse("gradient", &gradient, &format!("{:?}", x.dims()));
        }
        // Zero, with that gradient in x.
        let zero = ((x - x.detach())? * gradient.detach())?;
        value.detach() + zero.flatten_from(1)?.sum(1)?
    }
}
