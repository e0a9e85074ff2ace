//! Splines on the CPU in f32: one pass over the numbers, without stored activations.

use super::scalar::{Axis, Knots};
use super::{IntervalSpline, Sizes};
use crate::ops::view::{Samples, contiguous, host};
use crate::ops::{MAX_RUNS, simd};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Storage, Tensor, bail};
use rayon::prelude::*;

/// Minimum numbers per thread: handing over costs as much as a few of them.
const MIN_NUMBERS: usize = 512;

/// y and log_det in one tensor, since an operation has one result.
pub(super) struct Forward(pub(super) IntervalSpline);

impl CustomOp2 for Forward {
    fn name(&self) -> &'static str {
        "spline"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        h: &CpuStorage,
        h_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = Sizes::new(x_layout.shape(), h_layout.shape(), self.0)?;
        let (x, h) = (Samples::new(x, x_layout)?, contiguous(h, h_layout)?);
        let knots = Knots::new(self.0);
        let sample = sizes.sample();
        let mut result = vec![0.0; sizes.batch * sample + sizes.batch];
        let (y, log_det) = result.split_at_mut(sizes.batch * sample);
        let run = sizes.run();
        let work = |(index, (y, log_det)): (usize, (&mut [f32], &mut [f32]))| {
            let mut workspace = Workspace::new(&knots, sizes);
            for (offset, (y, log_det)) in y.chunks_exact_mut(sample).zip(log_det).enumerate() {
                let index = index * run + offset;
                let (x, h) = (x.get(index), sizes.parameters_of(h, index));
                y.copy_from_slice(x);
                *log_det = transform(&knots, sizes, x, h, y, &mut workspace);
            }
        };
        if sizes.batch <= run {
            work((0, (y, log_det)));
        } else {
            y.par_chunks_mut(run * sample)
                .zip(log_det.par_chunks_mut(run))
                .enumerate()
                .for_each(work);
        }
        let count = result.len();
        Ok((CpuStorage::F32(result), Shape::from(count)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        h: &Tensor,
        _result: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let sizes = Sizes::new(x.shape(), h.shape(), self.0)?;
        let grad = grad.contiguous()?;
        let (x_storage, x_layout) = x.storage_and_layout();
        let (h_storage, h_layout) = h.storage_and_layout();
        let (grad_storage, grad_layout) = grad.storage_and_layout();
        let (Storage::Cpu(x_storage), Storage::Cpu(h_storage), Storage::Cpu(grad_storage)) =
            (&*x_storage, &*h_storage, &*grad_storage)
        else {
            bail!("spline: the fused form runs on the CPU");
        };
        let (samples, h_all) = (
            Samples::new(x_storage, x_layout)?,
            contiguous(h_storage, h_layout)?,
        );
        let (sample, knots) = (sizes.sample(), Knots::new(self.0));
        let (grad_y, grad_log_det) =
            contiguous(grad_storage, grad_layout)?.split_at(sizes.batch * sample);

        let mut grad_x = grad_y.to_vec();
        let mut grad_h = vec![0.0; h_all.len()];
        let run = sizes.run();
        let work = |(index, (grad_x, grad_h)): (usize, (&mut [f32], &mut [f32]))| {
            let mut workspace = Workspace::new(&knots, sizes);
            let grads = grad_x
                .chunks_exact_mut(sample)
                .zip(grad_h.chunks_exact_mut(sizes.sample_parameters()));
            for (offset, (grad_x, grad_h)) in grads.enumerate() {
                let index = index * run + offset;
                let (x, h) = (samples.get(index), sizes.parameters_of(h_all, index));
                let grad_log = grad_log_det[index];
                differentiate(
                    &knots,
                    sizes,
                    (x, h, grad_log),
                    (grad_x, grad_h),
                    &mut workspace,
                );
            }
        };
        if sizes.batch <= run {
            work((0, (&mut grad_x, &mut grad_h)));
        } else {
            grad_x
                .par_chunks_mut(run * sample)
                .zip(grad_h.par_chunks_mut(run * sizes.sample_parameters()))
                .enumerate()
                .for_each(work);
        }
        Ok((
            Some(host(grad_x, x.shape())?),
            Some(host(grad_h, h.shape())?),
        ))
    }
}

impl Sizes {
    /// Samples per thread.
    pub(super) fn run(self) -> usize {
        let least = MIN_NUMBERS.div_ceil((self.transformed * self.pixels).max(1));
        self.batch.div_ceil(MAX_RUNS).max(least)
    }

    pub(super) fn parameters_of(self, h: &[f32], index: usize) -> &[f32] {
        &h[index * self.sample_parameters()..][..self.sample_parameters()]
    }
}

/// Workspace of one thread, reused for every number.
pub(super) struct Workspace {
    pub(super) shares: super::scalar::Shares,
    pub(super) parameters: Vec<f32>,
    pub(super) gradients: Vec<f32>,
}

impl Workspace {
    pub(super) fn new(knots: &Knots, sizes: Sizes) -> Self {
        Self {
            shares: knots.shares(),
            parameters: vec![0.0; sizes.parameters],
            gradients: vec![0.0; sizes.parameters],
        }
    }

    /// The parameters of transformed number `number`, at a stride of one pixel plane.
    #[inline(always)]
    pub(super) fn gather(&mut self, sizes: Sizes, h: &[f32], number: usize) {
        let start = start(sizes, number);
        let values = h[start..].iter().step_by(sizes.pixels);
        self.parameters
            .iter_mut()
            .zip(values)
            .for_each(|(to, from)| *to = *from);
    }

    #[inline(always)]
    pub(super) fn scatter(&self, sizes: Sizes, grad_h: &mut [f32], number: usize) {
        let start = start(sizes, number);
        let places = grad_h[start..].iter_mut().step_by(sizes.pixels);
        places
            .zip(&self.gradients)
            .for_each(|(to, from)| *to = *from);
    }
}

/// Offset of the parameters of transformed number `number` in those of its sample.
#[inline(always)]
fn start(sizes: Sizes, number: usize) -> usize {
    let (channel, pixel) = (number / sizes.pixels, number % sizes.pixels);
    channel * sizes.parameters * sizes.pixels + pixel
}

/// Writes the transformed numbers of one sample over those of `y`, and returns its log_det.
fn transform(
    knots: &Knots,
    sizes: Sizes,
    x: &[f32],
    h: &[f32],
    y: &mut [f32],
    workspace: &mut Workspace,
) -> f32 {
    let first = sizes.first();
    simd::dispatch(
        #[inline(always)]
        || {
            let mut log_det = 0.0;
            for (number, (x, y)) in x[first..].iter().zip(&mut y[first..]).enumerate() {
                if knots.is_inside(*x) {
                    workspace.gather(sizes, h, number);
                    let bin = knots.bin(*x, Axis::X, &workspace.parameters, &mut workspace.shares);
                    let (value, log_slope) = bin.forward(*x);
                    *y = value.min(knots.high);
                    log_det += log_slope;
                }
            }
            log_det
        },
    )
}

/// `grad_x` holds ∂L/∂y and becomes ∂L/∂x; `grad_h` holds zeros.
fn differentiate(
    knots: &Knots,
    sizes: Sizes,
    (x, h, grad_log): (&[f32], &[f32], f32),
    (grad_x, grad_h): (&mut [f32], &mut [f32]),
    workspace: &mut Workspace,
) {
    let first = sizes.first();
    simd::dispatch(
        #[inline(always)]
        || {
            for (number, (x, grad)) in x[first..].iter().zip(&mut grad_x[first..]).enumerate() {
                if knots.is_inside(*x) {
                    workspace.gather(sizes, h, number);
                    let bin = knots.bin(*x, Axis::X, &workspace.parameters, &mut workspace.shares);
                    let gradient = bin.backward(*x, *grad, grad_log);
                    *grad = gradient.x;
                    let Workspace {
                        shares,
                        parameters,
                        gradients,
                    } = workspace;
                    knots.differentiate(bin, &gradient, parameters, shares, gradients);
                    workspace.scatter(sizes, grad_h, number);
                }
            }
        },
    );
}
