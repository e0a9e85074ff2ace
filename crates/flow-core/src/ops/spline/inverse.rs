//! The inverse of splines on the CPU in f32, with its log-determinant: one pass over the numbers.
//!
//! ```text
//! y = f(x; h),  l = ln ∂f/∂x                       L: a loss with gradients in x and in −l
//! ∂L/∂y = (∂L/∂x + ∂L/∂(−l) · −∂l/∂x) / ∂f/∂x
//! ∂L/∂h = −∂L/∂y · ∂f/∂h − ∂L/∂(−l) · ∂l/∂h
//! ```
//!
//! So the gradients of the inverse are those of the forward map with other factors.

use super::fused::Workspace;
use super::scalar::{Axis, Knots};
use super::{IntervalSpline, Sizes};
use crate::ops::simd;
use crate::ops::view::{Samples, contiguous, dense_samples, host};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Storage, Tensor, bail};
use rayon::prelude::*;

/// x and ln|det ∂x/∂y| `[B]`, which is zero if it is not asked for.
pub(super) fn inverse(
    y: &Tensor,
    h: &Tensor,
    spline: IntervalSpline,
    with_log_det: bool,
) -> Result<(Tensor, Tensor)> {
    let inverse = Inverse {
        spline,
        with_log_det,
    };
    let flat = dense_samples(y)?.apply_op2(&h.contiguous()?, inverse)?;
    let count = y.elem_count();
    let x = flat.narrow(0, 0, count)?.reshape(y.shape())?;
    Ok((x, flat.narrow(0, count, y.dim(0)?)?))
}

/// x and log_det in one tensor, since an operation has one result.
struct Inverse {
    spline: IntervalSpline,
    /// A logarithm for each number, an eighth of the time.
    with_log_det: bool,
}

impl CustomOp2 for Inverse {
    fn name(&self) -> &'static str {
        "spline-inverse"
    }

    fn cpu_fwd(
        &self,
        y: &CpuStorage,
        y_layout: &Layout,
        h: &CpuStorage,
        h_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = Sizes::new(y_layout.shape(), h_layout.shape(), self.spline)?;
        let (y, h) = (Samples::new(y, y_layout)?, contiguous(h, h_layout)?);
        let (sample, knots, run) = (sizes.sample(), Knots::new(self.spline), sizes.run());
        let mut result = vec![0.0; sizes.batch * sample + sizes.batch];
        let (x, log_det) = result.split_at_mut(sizes.batch * sample);
        let work = |(index, (x, log_det)): (usize, (&mut [f32], &mut [f32]))| {
            let mut workspace = Workspace::new(&knots, sizes);
            for (offset, (x, log_det)) in x.chunks_exact_mut(sample).zip(log_det).enumerate() {
                let index = index * run + offset;
                let (y, h) = (y.get(index), sizes.parameters_of(h, index));
                x.copy_from_slice(y);
                let workspace = &mut workspace;
                *log_det = if self.with_log_det {
                    invert::<true>(&knots, sizes, y, h, x, workspace)
                } else {
                    invert::<false>(&knots, sizes, y, h, x, workspace)
                };
            }
        };
        if sizes.batch <= run {
            work((0, (x, log_det)));
        } else {
            x.par_chunks_mut(run * sample)
                .zip(log_det.par_chunks_mut(run))
                .enumerate()
                .for_each(work);
        }
        let count = result.len();
        Ok((CpuStorage::F32(result), Shape::from(count)))
    }

    fn bwd(
        &self,
        y: &Tensor,
        h: &Tensor,
        result: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let sizes = Sizes::new(y.shape(), h.shape(), self.spline)?;
        let grad = grad.contiguous()?;
        let (x_storage, x_layout) = result.storage_and_layout();
        let (h_storage, h_layout) = h.storage_and_layout();
        let (grad_storage, grad_layout) = grad.storage_and_layout();
        let (Storage::Cpu(x_storage), Storage::Cpu(h_storage), Storage::Cpu(grad_storage)) =
            (&*x_storage, &*h_storage, &*grad_storage)
        else {
            bail!("spline: the fused form runs on the CPU");
        };
        let x_all = contiguous::<f32>(x_storage, x_layout)?;
        let h_all = contiguous::<f32>(h_storage, h_layout)?;
        let (sample, knots, run) = (sizes.sample(), Knots::new(self.spline), sizes.run());
        let (grad_x, grad_log_det) =
            contiguous::<f32>(grad_storage, grad_layout)?.split_at(sizes.batch * sample);

        let mut grad_y = grad_x.to_vec();
        let mut grad_h = vec![0.0; h_all.len()];
        let work = |(index, (grad_y, grad_h)): (usize, (&mut [f32], &mut [f32]))| {
            let mut workspace = Workspace::new(&knots, sizes);
            let grads = grad_y
                .chunks_exact_mut(sample)
                .zip(grad_h.chunks_exact_mut(sizes.sample_parameters()));
            for (offset, (grad_y, grad_h)) in grads.enumerate() {
                let index = index * run + offset;
                let x = &x_all[index * sample..][..sample];
                let inputs = (x, sizes.parameters_of(h_all, index), grad_log_det[index]);
                differentiate(&knots, sizes, inputs, (grad_y, grad_h), &mut workspace);
            }
        };
        if sizes.batch <= run {
            work((0, (&mut grad_y, &mut grad_h)));
        } else {
            grad_y
                .par_chunks_mut(run * sample)
                .zip(grad_h.par_chunks_mut(run * sizes.sample_parameters()))
                .enumerate()
                .for_each(work);
        }
        Ok((
            Some(host(grad_y, y.shape())?),
            Some(host(grad_h, h.shape())?),
        ))
    }
}

/// Writes x of one sample over the transformed numbers, and returns its log_det or zero.
fn invert<const WITH_LOG_DET: bool>(
    knots: &Knots,
    sizes: Sizes,
    y: &[f32],
    h: &[f32],
    x: &mut [f32],
    workspace: &mut Workspace,
) -> f32 {
    let first = sizes.first();
    simd::dispatch(
        #[inline(always)]
        || {
            let mut log_det = 0.0;
            for (number, (y, x)) in y[first..].iter().zip(&mut x[first..]).enumerate() {
                if knots.is_inside(*y) {
                    workspace.gather(sizes, h, number);
                    let bin = knots.bin(*y, Axis::Y, &workspace.parameters, &mut workspace.shares);
                    *x = bin.inverse(*y).min(knots.high);
                    if WITH_LOG_DET {
                        log_det -= bin.forward(*x).1;
                    }
                }
            }
            log_det
        },
    )
}

/// `grad_y` holds ∂L/∂x and becomes ∂L/∂y; `grad_h` holds zeros. `grad_log` is ∂L/∂log_det.
fn differentiate(
    knots: &Knots,
    sizes: Sizes,
    (x, h, grad_log): (&[f32], &[f32], f32),
    (grad_y, grad_h): (&mut [f32], &mut [f32]),
    workspace: &mut Workspace,
) {
    let first = sizes.first();
    simd::dispatch(
        #[inline(always)]
        || {
            for (number, (x, grad)) in x[first..].iter().zip(&mut grad_y[first..]).enumerate() {
                if knots.is_inside(*x) {
                    workspace.gather(sizes, h, number);
                    let bin = knots.bin(*x, Axis::X, &workspace.parameters, &mut workspace.shares);
                    let (_, log_slope) = bin.forward(*x);
                    let grad_x = *grad + bin.backward(*x, 0.0, -grad_log).x;
                    *grad = grad_x * simd::exp(-log_slope);
                    let gradient = bin.backward(*x, -*grad, -grad_log);
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
