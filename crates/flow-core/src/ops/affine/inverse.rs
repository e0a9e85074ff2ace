//! The inverse on the CPU in f32, with its log-determinant: one pass over the numbers.
//!
//! ```text
//! ∂L/∂y     = ∂L/∂x ⊙ exp(−ln s)
//! ∂L/∂shift = −∂L/∂y  scaled first, or −∂L/∂x
//! ∂L/∂ln s  = −∂L/∂x ⊙ (y's number before it was scaled) − ∂L/∂log_det
//! ```

use super::scale::{
    Exp, ExpTanh, First, Scale, Sigmoid, SigmoidInverse, SigmoidOffset, Softplus, SoftplusUnbounded,
};
use super::{BLOCK, Order, ScaleMap, Sizes, min_samples, sizes, with_scale};
use crate::ops::simd;
use crate::ops::view::{Samples, contiguous, dense_samples, host};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Storage, Tensor, bail};
use rayon::prelude::*;

/// x and ln|det ∂x/∂y| `[B]`.
pub(super) fn inverse(
    y: &Tensor,
    h: &Tensor,
    map: ScaleMap,
    order: Order,
) -> Result<(Tensor, Tensor)> {
    let flat = dense_samples(y)?.apply_op2(&h.contiguous()?, Inverse(map, order))?;
    let count = y.elem_count();
    let x = flat.narrow(0, 0, count)?.reshape(y.shape())?;
    Ok((x, flat.narrow(0, count, y.dim(0)?)?))
}

/// x and log_det in one tensor, since an operation has one result.
struct Inverse(ScaleMap, Order);

impl CustomOp2 for Inverse {
    fn name(&self) -> &'static str {
        "affine-inverse"
    }

    fn cpu_fwd(
        &self,
        y: &CpuStorage,
        y_layout: &Layout,
        h: &CpuStorage,
        h_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (b, sizes) = sizes(y_layout.shape(), h_layout.shape())?;
        let y = Samples::new(y, y_layout)?;
        let h = contiguous(h, h_layout)?;
        let mut result = vec![0.0; b * sizes.sample + b];
        let (x, log_det) = result.split_at_mut(b * sizes.sample);
        let invert = |(index, (x, log_det)): (usize, (&mut [f32], &mut f32))| {
            let h = &h[index * sizes.parameters()..][..sizes.parameters()];
            let y = y.get(index);
            *log_det = with_scale!(self.0, self.1, scale => invert(scale, sizes, y, h, x));
        };
        x.par_chunks_exact_mut(sizes.sample)
            .zip(log_det)
            .with_min_len(min_samples(b, sizes))
            .enumerate()
            .for_each(invert);
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
        let (b, sizes) = sizes(y.shape(), h.shape())?;
        let grad = grad.contiguous()?;
        let (x_storage, x_layout) = result.storage_and_layout();
        let (h_storage, h_layout) = h.storage_and_layout();
        let (grad_storage, grad_layout) = grad.storage_and_layout();
        let (Storage::Cpu(x_storage), Storage::Cpu(h_storage), Storage::Cpu(grad_storage)) =
            (&*x_storage, &*h_storage, &*grad_storage)
        else {
            bail!("affine: the fused form runs on the CPU");
        };
        let x = contiguous::<f32>(x_storage, x_layout)?;
        let parameters = contiguous(h_storage, h_layout)?;
        let (grad_x, grad_log_det) =
            contiguous::<f32>(grad_storage, grad_layout)?.split_at(b * sizes.sample);

        let mut grad_y = vec![0.0; b * sizes.sample];
        let mut grad_h = vec![0.0; b * sizes.parameters()];
        let differentiate = |(index, (grad_y, grad_h)): (usize, (&mut [f32], &mut [f32]))| {
            let inverted = Inverted {
                x: &x[index * sizes.sample..][..sizes.sample],
                h: &parameters[index * sizes.parameters()..][..sizes.parameters()],
                grad_x: &grad_x[index * sizes.sample..][..sizes.sample],
                grad_log_det: grad_log_det[index],
            };
            with_scale!(
                self.0,
                self.1,
                scale => differentiate(scale, sizes, &inverted, grad_y, grad_h)
            );
        };
        grad_y
            .par_chunks_exact_mut(sizes.sample)
            .zip(grad_h.par_chunks_exact_mut(sizes.parameters()))
            .with_min_len(min_samples(b, sizes))
            .enumerate()
            .for_each(differentiate);
        Ok((
            Some(host(grad_y, y.shape())?),
            Some(host(grad_h, h.shape())?),
        ))
    }
}

/// Writes x of one sample, and returns its log_det.
fn invert<S: Scale>(scale: &S, sizes: Sizes, y: &[f32], h: &[f32], x: &mut [f32]) -> f32 {
    let (y1, y2) = y.split_at(sizes.passing());
    let (x1, x2) = x.split_at_mut(sizes.passing());
    let (shift, raw) = h.split_at(sizes.transformed);
    x1.copy_from_slice(y1);
    simd::dispatch(
        #[inline(always)]
        || {
            let mut log_det = 0.0;
            let blocks = x2.chunks_mut(BLOCK).zip(y2.chunks(BLOCK));
            for ((x, y), (shift, raw)) in blocks.zip(shift.chunks(BLOCK).zip(raw.chunks(BLOCK))) {
                let mut log_scales = [0.0; BLOCK];
                let parameters = shift.iter().zip(raw).zip(&mut log_scales);
                for ((x, y), ((shift, raw), log_scale)) in x.iter_mut().zip(y).zip(parameters) {
                    *log_scale = scale.at(*raw).0;
                    let inverse_scale = simd::exp(-*log_scale);
                    *x = if S::FIRST {
                        (y - shift) * inverse_scale
                    } else {
                        y * inverse_scale - shift
                    };
                }
                log_det -= simd::sum(&log_scales[..x.len()]);
            }
            log_det
        },
    )
}

/// Inputs of one sample's gradients.
struct Inverted<'a> {
    x: &'a [f32],
    h: &'a [f32],
    grad_x: &'a [f32],
    grad_log_det: f32,
}

fn differentiate<S: Scale>(
    scale: &S,
    sizes: Sizes,
    inverted: &Inverted,
    grad_y: &mut [f32],
    grad_h: &mut [f32],
) {
    let x2 = &inverted.x[sizes.passing()..];
    let (grad_x1, grad_x2) = inverted.grad_x.split_at(sizes.passing());
    let (grad_y1, grad_y2) = grad_y.split_at_mut(sizes.passing());
    let (shift, raw) = inverted.h.split_at(sizes.transformed);
    let (grad_shift, grad_raw) = grad_h.split_at_mut(sizes.transformed);
    grad_y1.copy_from_slice(grad_x1);
    simd::dispatch(
        #[inline(always)]
        || {
            let gradients = grad_y2.iter_mut().zip(grad_shift).zip(grad_raw);
            let values = x2.iter().zip(shift).zip(raw).zip(grad_x2);
            for (((grad_y, grad_shift), grad_raw), (((x, shift), raw), grad_x)) in
                gradients.zip(values)
            {
                let (log_scale, slope) = scale.at(*raw);
                *grad_y = grad_x * simd::exp(-log_scale);
                // The number that was scaled, and the gradient that the shift has.
                let (scaled, grad) = if S::FIRST {
                    (*x, *grad_y)
                } else {
                    (x + shift, *grad_x)
                };
                *grad_shift = -grad;
                *grad_raw = -(grad_x * scaled + inverted.grad_log_det) * slope;
            }
        },
    );
}
