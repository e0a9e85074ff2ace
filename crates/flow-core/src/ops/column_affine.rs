//! A shift and a scale for each column of vectors, as in ActNorm.
//!
//! ```text
//! y[b, d] = (x[b, d] + shift[d]) · scale[d]               x: [B, D]  shift, scale: [D]
//! ```

use super::number::Number;
use super::view::{contiguous, host};
use super::{MAX_RUNS, fusible, simd, sum_in_order};
use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Storage, Tensor, bail};
use rayon::prelude::*;
use std::marker::PhantomData;

/// Minimum numbers per thread: handing over costs as much as some of them.
const MIN_NUMBERS: usize = 1 << 14;

/// `x` `[B, D]`, `shift` `[D]`, `scale` `[D]` → `[B, D]`.
pub fn column_affine(x: &Tensor, shift: &Tensor, scale: &Tensor) -> Result<Tensor> {
    if !fusible(x) {
        return composed::column_affine(x, shift, scale);
    }
    let (x, shift, scale) = (x.contiguous()?, shift.contiguous()?, scale.contiguous()?);
    match x.dtype() {
        DType::F64 => x.apply_op3(&shift, &scale, ColumnAffine::<f64>(PhantomData)),
        _ => x.apply_op3(&shift, &scale, ColumnAffine::<f32>(PhantomData)),
    }
}

/// The specification, in plain candle operations.
pub mod composed {
    use candle_core::{Result, Tensor};

    /// As [`super::column_affine`].
    pub fn column_affine(x: &Tensor, shift: &Tensor, scale: &Tensor) -> Result<Tensor> {
        x.broadcast_add(shift)?.broadcast_mul(scale)
    }
}

struct ColumnAffine<T>(PhantomData<T>);

/// Number of columns, and of the numbers of a run.
fn sizes(x: &Shape, shift: &Shape, scale: &Shape) -> Result<[usize; 2]> {
    let (rows, columns) = x.dims2()?;
    if shift.dims() != [columns] || scale.dims() != [columns] {
        bail!(
            "column-affine: a shift of shape {shift:?} and a scale of shape {scale:?} do not fit \
             {columns} columns"
        );
    }
    let run = rows.div_ceil(MAX_RUNS).max(MIN_NUMBERS.div_ceil(columns));
    Ok([columns, run * columns])
}

impl<T: Number> CustomOp3 for ColumnAffine<T> {
    fn name(&self) -> &'static str {
        "column-affine"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        shift: &CpuStorage,
        shift_layout: &Layout,
        scale: &CpuStorage,
        scale_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let shapes = [x_layout, shift_layout, scale_layout].map(Layout::shape);
        let [columns, run] = sizes(shapes[0], shapes[1], shapes[2])?;
        let x: &[T] = contiguous(x, x_layout)?;
        let shift: &[T] = contiguous(shift, shift_layout)?;
        let scale: &[T] = contiguous(scale, scale_layout)?;
        let mut y = vec![T::zero(); x.len()];
        let map = |(y, x): (&mut [T], &[T])| {
            simd::dispatch(
                #[inline(always)]
                || {
                    let rows = y.chunks_exact_mut(columns).zip(x.chunks_exact(columns));
                    for (y, x) in rows {
                        let numbers = y.iter_mut().zip(x).zip(shift.iter().zip(scale));
                        for ((y, x), (shift, scale)) in numbers {
                            *y = (*x + *shift) * *scale;
                        }
                    }
                },
            );
        };
        y.par_chunks_mut(run).zip(x.par_chunks(run)).for_each(map);
        Ok((T::to_cpu_storage_owned(y), shapes[0].clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        shift: &Tensor,
        scale: &Tensor,
        _y: &Tensor,
        grad_y: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [columns, run] = sizes(x.shape(), shift.shape(), scale.shape())?;
        let grad_y = grad_y.contiguous()?;
        let (x_storage, x_layout) = x.storage_and_layout();
        let (shift_storage, shift_layout) = shift.storage_and_layout();
        let (scale_storage, scale_layout) = scale.storage_and_layout();
        let (grad_storage, grad_layout) = grad_y.storage_and_layout();
        let (Storage::Cpu(x_storage), Storage::Cpu(shift), Storage::Cpu(scale), Storage::Cpu(grad)) = (
            &*x_storage,
            &*shift_storage,
            &*scale_storage,
            &*grad_storage,
        ) else {
            bail!("column-affine: the fused form runs on the CPU");
        };
        let numbers: &[T] = contiguous(x_storage, x_layout)?;
        let shift: &[T] = contiguous(shift, shift_layout)?;
        let scale: &[T] = contiguous(scale, scale_layout)?;
        let grad: &[T] = contiguous(grad, grad_layout)?;

        let mut grad_x = vec![T::zero(); numbers.len()];
        // Sums of ∂L/∂y, and of ∂L/∂y · (x + shift), of each column.
        let parts = grad_x
            .par_chunks_mut(run)
            .zip(numbers.par_chunks(run))
            .zip(grad.par_chunks(run))
            .map(|((grad_x, x), grad_y)| {
                let mut sums = vec![T::zero(); 2 * columns];
                let (of_shift, of_scale) = sums.split_at_mut(columns);
                simd::dispatch(
                    #[inline(always)]
                    || {
                        let rows = grad_x.chunks_exact_mut(columns);
                        let rows = rows.zip(x.chunks_exact(columns));
                        for ((grad_x, x), grad_y) in rows.zip(grad_y.chunks_exact(columns)) {
                            let sums = of_shift.iter_mut().zip(&mut *of_scale);
                            let parameters = shift.iter().zip(scale);
                            let numbers = grad_x.iter_mut().zip(x).zip(grad_y);
                            for (((grad_x, x), grad_y), ((of_shift, of_scale), (shift, scale))) in
                                numbers.zip(sums.zip(parameters))
                            {
                                *grad_x = *grad_y * *scale;
                                *of_shift += *grad_y;
                                *of_scale += *grad_y * (*x + *shift);
                            }
                        }
                    },
                );
                sums
            })
            .collect::<Vec<_>>();
        let mut grad_shift = sum_in_order(parts).unwrap_or_default();
        let grad_scale = grad_shift.split_off(columns);
        for (grad, scale) in grad_shift.iter_mut().zip(scale) {
            *grad *= *scale;
        }
        Ok((
            Some(host(grad_x, x.shape())?),
            Some(host(grad_shift, columns)?),
            Some(host(grad_scale, columns)?),
        ))
    }
}
