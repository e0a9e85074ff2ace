//! The affine transform of a coupling together with its log-determinant.
//!
//! ```text
//! shift, raw = h;  ln s = scale_map(raw)
//! y       = cat(x₁, (x₂ + shift) ⊙ s)             x: [B, C, …]  h: [B, 2·C₂, …]
//! log_det = Σ ln s                                 [B]
//! x₂      = y₂ ⊙ exp(−ln s) − shift
//! ```
//!
//! or, scaled first, x₂ ⊙ s + shift and (y₂ − shift) ⊙ exp(−ln s).
//!
//! x₂ are the last C₂ channels of x, where h has 2·C₂.

mod inverse;
mod scale;

pub use scale::ScaleMap;

use super::view::{Samples, contiguous, dense_samples, host};
use super::{channel_split, empty_output, fusible, run_length, simd};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Storage, Tensor, bail};
use rayon::prelude::*;
use scale::{
    Exp, ExpTanh, First, Scale, Sigmoid, SigmoidInverse, SigmoidOffset, Softplus, SoftplusUnbounded,
};

/// Order of shift and scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
pub enum Order {
    /// y₂ = (x₂ + shift) ⊙ s: Glow's published code.
    #[default]
    ShiftFirst,
    /// y₂ = x₂ ⊙ s + shift: RealNVP's paper.
    ScaleFirst,
}

/// y and log_det `[B]`, of `x` `[B, C, …]` and the network's `h` `[B, 2·C₂, …]`.
///
/// # Errors
/// If the shapes do not fit.
pub fn forward(x: &Tensor, h: &Tensor, map: ScaleMap, order: Order) -> Result<(Tensor, Tensor)> {
    channel_split("affine", x.shape(), h.shape(), 2)?;
    if x.elem_count() == 0 {
        return empty_output(x);
    }
    if !fusible(x) {
        return composed::forward(x, h, map, order);
    }
    let flat = dense_samples(x)?.apply_op2(&h.contiguous()?, Affine(map, order))?;
    let count = x.elem_count();
    let y = flat.narrow(0, 0, count)?.reshape(x.shape())?;
    Ok((y, flat.narrow(0, count, x.dim(0)?)?))
}

/// The x for which `forward(x, h, map, order)` gives `y`.
///
/// # Errors
/// If the shapes do not fit.
pub fn inverse(y: &Tensor, h: &Tensor, map: ScaleMap, order: Order) -> Result<Tensor> {
    channel_split("affine", y.shape(), h.shape(), 2)?;
    if y.elem_count() == 0 {
        return Ok(y.clone());
    }
    // Samples need no graph; gradients of a sample take the composed form.
    if !fusible(y) || y.track_op() || h.track_op() {
        return composed::inverse(y, h, map, order);
    }
    let (x, _) = inverse::inverse(y, h, map, order)?;
    Ok(x)
}

/// The x of [`inverse`], and ln|det ∂x/∂y| `[B]`: −Σ ln s. With a graph it is fused, too.
///
/// # Errors
/// If the shapes do not fit.
pub fn inverse_with_log_det(
    y: &Tensor,
    h: &Tensor,
    map: ScaleMap,
    order: Order,
) -> Result<(Tensor, Tensor)> {
    channel_split("affine", y.shape(), h.shape(), 2)?;
    if y.elem_count() == 0 {
        return empty_output(y);
    }
    if !fusible(y) {
        return composed::inverse_with_log_det(y, h, map, order);
    }
    inverse::inverse(y, h, map, order)
}

/// The specification, in plain candle operations.
pub mod composed {
    use super::{Order, ScaleMap};
    use crate::ops::elementary::saturating_exp;
    use candle_core::{Result, Tensor};

    /// As [`super::forward`].
    pub fn forward(
        x: &Tensor,
        h: &Tensor,
        map: ScaleMap,
        order: Order,
    ) -> Result<(Tensor, Tensor)> {
        let (x1, x2, shift, log_scale) = parts(x, h, map)?;
        let scale = log_scale.exp()?;
        let y2 = match order {
            Order::ShiftFirst => ((x2 + shift)? * scale)?,
            Order::ScaleFirst => ((x2 * scale)? + shift)?,
        };
        Ok((
            Tensor::cat(&[x1, y2], 1)?,
            log_scale.flatten_from(1)?.sum(1)?,
        ))
    }

    /// As [`super::inverse`].
    pub fn inverse(y: &Tensor, h: &Tensor, map: ScaleMap, order: Order) -> Result<Tensor> {
        let (y1, y2, shift, log_scale) = parts(y, h, map)?;
        Tensor::cat(&[y1, unscaled(&y2, &shift, &log_scale, order)?], 1)
    }

    /// As [`super::inverse_with_log_det`].
    pub fn inverse_with_log_det(
        y: &Tensor,
        h: &Tensor,
        map: ScaleMap,
        order: Order,
    ) -> Result<(Tensor, Tensor)> {
        let (y1, y2, shift, log_scale) = parts(y, h, map)?;
        let x2 = unscaled(&y2, &shift, &log_scale, order)?;
        let log_det = log_scale.flatten_from(1)?.sum(1)?.neg()?;
        Ok((Tensor::cat(&[y1, x2], 1)?, log_det))
    }

    fn unscaled(y2: &Tensor, shift: &Tensor, log_scale: &Tensor, order: Order) -> Result<Tensor> {
        let inverse_scale = saturating_exp(&log_scale.neg()?)?;
        match order {
            Order::ShiftFirst => (y2 * inverse_scale)? - shift,
            Order::ScaleFirst => (y2 - shift)? * inverse_scale,
        }
    }

    fn parts(x: &Tensor, h: &Tensor, map: ScaleMap) -> Result<(Tensor, Tensor, Tensor, Tensor)> {
        let transformed = h.dim(1)? / 2;
        let passing = x.dim(1)? - transformed;
        let log_scale = map.log_scale(&h.narrow(1, transformed, transformed)?)?;
        Ok((
            x.narrow(1, 0, passing)?,
            x.narrow(1, passing, transformed)?,
            h.narrow(1, 0, transformed)?,
            log_scale,
        ))
    }
}

struct Affine(ScaleMap, Order);

/// Minimum numbers per thread: handing over costs as much as some of them.
const MIN_NUMBERS: usize = 1 << 12;

/// Minimum samples per thread.
fn min_samples(b: usize, sizes: Sizes) -> usize {
    run_length(b).max(MIN_NUMBERS.div_ceil(sizes.sample))
}

/// Evaluates `$body` with `$scale` bound to the scalar form of `$map` and `$order`, so that each
/// gets its own compiled loop.
macro_rules! with_scale {
    ($map:expr, $order:expr, $scale:ident => $body:expr) => {
        with_scale!(@maps $map, $order, $scale => $body,
            Sigmoid => Sigmoid,
            SigmoidOffset => SigmoidOffset,
            SigmoidInverse => SigmoidInverse,
            Softplus => Softplus,
            SoftplusUnbounded => SoftplusUnbounded,
            Exp => Exp,
            ExpTanh { bound } => ExpTanh(bound as f32),
        )
    };
    (@maps $map:expr, $order:expr, $scale:ident => $body:expr, $($variant:ident $({ $field:ident })? => $value:expr,)*) => {
        match ($map, $order) {
            $(
                (ScaleMap::$variant $({ $field })?, Order::ShiftFirst) => {
                    let $scale = &$value;
                    $body
                }
                (ScaleMap::$variant $({ $field })?, Order::ScaleFirst) => {
                    let $scale = &First($value);
                    $body
                }
            )*
        }
    };
}

use with_scale;

impl CustomOp2 for Affine {
    fn name(&self) -> &'static str {
        "affine"
    }

    /// y and log_det in one tensor, since an operation has one result.
    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        h: &CpuStorage,
        h_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (b, sizes) = sizes(x_layout.shape(), h_layout.shape())?;
        let x = Samples::new(x, x_layout)?;
        let h = contiguous(h, h_layout)?;
        let mut result = vec![0.0; b * sizes.sample + b];
        let (y, log_det) = result.split_at_mut(b * sizes.sample);
        let transform = |(index, (y, log_det)): (usize, (&mut [f32], &mut f32))| {
            let h = &h[index * sizes.parameters()..][..sizes.parameters()];
            let x = x.get(index);
            *log_det = with_scale!(self.0, self.1, scale => transform(scale, sizes, x, h, y));
        };
        y.par_chunks_exact_mut(sizes.sample)
            .zip(log_det)
            .with_min_len(min_samples(b, sizes))
            .enumerate()
            .for_each(transform);
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
        let (b, sizes) = sizes(x.shape(), h.shape())?;
        let grad = grad.contiguous()?;
        let (x_storage, x_layout) = x.storage_and_layout();
        let (h_storage, h_layout) = h.storage_and_layout();
        let (grad_storage, grad_layout) = grad.storage_and_layout();
        let (Storage::Cpu(x_storage), Storage::Cpu(h_storage), Storage::Cpu(grad_storage)) =
            (&*x_storage, &*h_storage, &*grad_storage)
        else {
            bail!("affine: the fused form runs on the CPU");
        };
        let samples = Samples::new(x_storage, x_layout)?;
        let parameters = contiguous(h_storage, h_layout)?;
        let (grad_y, grad_log_det) =
            contiguous(grad_storage, grad_layout)?.split_at(b * sizes.sample);

        let mut grad_x = vec![0.0; b * sizes.sample];
        let mut grad_h = vec![0.0; b * sizes.parameters()];
        let differentiate = |(index, (grad_x, grad_h)): (usize, (&mut [f32], &mut [f32]))| {
            let sample = Differentiated {
                x: samples.get(index),
                h: &parameters[index * sizes.parameters()..][..sizes.parameters()],
                grad_y: &grad_y[index * sizes.sample..][..sizes.sample],
                grad_log_det: grad_log_det[index],
            };
            with_scale!(
                self.0,
                self.1,
                scale => differentiate(scale, sizes, &sample, grad_x, grad_h)
            );
        };
        grad_x
            .par_chunks_exact_mut(sizes.sample)
            .zip(grad_h.par_chunks_exact_mut(sizes.parameters()))
            .with_min_len(min_samples(b, sizes))
            .enumerate()
            .for_each(differentiate);
        Ok((
            Some(host(grad_x, x.shape())?),
            Some(host(grad_h, h.shape())?),
        ))
    }
}

/// Sizes of a sample: all its numbers, and the transformed ones.
#[derive(Clone, Copy)]
struct Sizes {
    sample: usize,
    transformed: usize,
}

impl Sizes {
    fn parameters(self) -> usize {
        2 * self.transformed
    }

    fn passing(self) -> usize {
        self.sample - self.transformed
    }
}

/// Batch size and sizes of x `[B, C, …]` and h `[B, 2·C₂, …]`.
fn sizes(x: &Shape, h: &Shape) -> Result<(usize, Sizes)> {
    let [passing, moved] = channel_split("affine", x, h, 2)?;
    let pixels = x.dims()[2..].iter().product::<usize>();
    let sizes = Sizes {
        sample: (passing + moved) * pixels,
        transformed: moved * pixels,
    };
    Ok((x.dims()[0], sizes))
}

/// Numbers per block, small enough to stay in registers and the first-level cache.
const BLOCK: usize = 64;

/// Writes y of one sample and returns its log_det.
fn transform<S: Scale>(scale: &S, sizes: Sizes, x: &[f32], h: &[f32], y: &mut [f32]) -> f32 {
    let (x1, x2) = x.split_at(sizes.passing());
    let (y1, y2) = y.split_at_mut(sizes.passing());
    let (shift, raw) = h.split_at(sizes.transformed);
    y1.copy_from_slice(x1);
    simd::dispatch(
        #[inline(always)]
        || {
            let mut log_det = 0.0;
            let blocks = y2.chunks_mut(BLOCK).zip(x2.chunks(BLOCK));
            for ((y, x), (shift, raw)) in blocks.zip(shift.chunks(BLOCK).zip(raw.chunks(BLOCK))) {
                let mut log_scales = [0.0; BLOCK];
                let parameters = shift.iter().zip(raw).zip(&mut log_scales);
                for ((y, x), ((shift, raw), log_scale)) in y.iter_mut().zip(x).zip(parameters) {
                    *log_scale = scale.at(*raw).0;
                    let scale = simd::exp(*log_scale);
                    *y = if S::FIRST {
                        x * scale + shift
                    } else {
                        (x + shift) * scale
                    };
                }
                log_det += simd::sum(&log_scales);
            }
            log_det
        },
    )
}

/// Inputs of one sample's gradients.
struct Differentiated<'a> {
    x: &'a [f32],
    h: &'a [f32],
    grad_y: &'a [f32],
    grad_log_det: f32,
}

fn differentiate<S: Scale>(
    scale: &S,
    sizes: Sizes,
    sample: &Differentiated,
    grad_x: &mut [f32],
    grad_h: &mut [f32],
) {
    let x2 = &sample.x[sizes.passing()..];
    let (grad_y1, grad_y2) = sample.grad_y.split_at(sizes.passing());
    let (grad_x1, grad_x2) = grad_x.split_at_mut(sizes.passing());
    let (shift, raw) = sample.h.split_at(sizes.transformed);
    let (grad_shift, grad_raw) = grad_h.split_at_mut(sizes.transformed);
    grad_x1.copy_from_slice(grad_y1);
    simd::dispatch(
        #[inline(always)]
        || {
            let gradients = grad_x2.iter_mut().zip(grad_shift).zip(grad_raw);
            let values = x2.iter().zip(shift).zip(raw).zip(grad_y2);
            for (((grad_x, grad_shift), grad_raw), (((x, shift), raw), grad_y)) in
                gradients.zip(values)
            {
                let (log_scale, slope) = scale.at(*raw);
                let scaled = grad_y * simd::exp(log_scale);
                *grad_x = scaled;
                // The scaled number, and the shift's slope in y.
                let (x, grad) = if S::FIRST {
                    (*x, *grad_y)
                } else {
                    (x + shift, scaled)
                };
                *grad_shift = grad;
                *grad_raw = (scaled * x + sample.grad_log_det) * slope;
            }
        },
    );
}
