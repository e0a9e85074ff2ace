//! The channels of images or vectors in another order.

use super::number::Number;
use super::view::{contiguous, host};
use super::{fusible, run_length};
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Storage, Tensor, bail};
use rayon::prelude::*;
use std::marker::PhantomData;
use std::sync::Arc;

/// Minimum numbers per thread: handing over costs as much as some of them.
const MIN_NUMBERS: usize = 1 << 14;

/// A permutation of channels, and its inverse: channel i of the result is channel `places[i]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) places: Arc<[u32]>,
    pub(crate) inverse: Arc<[u32]>,
}

/// `x` `[B, C, …]` with its channels in `order`; `None` where no fused form applies.
pub(crate) fn reorder(x: &Tensor, order: &Order) -> Option<Result<Tensor>> {
    fusible(x).then(|| {
        let (x, order) = (x.contiguous()?, order.clone());
        match x.dtype() {
            DType::F64 => x.apply_op1(Reorder::<f64>(order, PhantomData)),
            _ => x.apply_op1(Reorder::<f32>(order, PhantomData)),
        }
    })
}

struct Reorder<T>(Order, PhantomData<T>);

fn gather<T: Number>(x: &[T], shape: &Shape, places: &[u32]) -> Result<Vec<T>> {
    let [batch, channels, space @ ..] = shape.dims() else {
        bail!("reorder: got shape {shape:?}, needed [B, C, …]");
    };
    if *channels != places.len() {
        bail!(
            "reorder: an order of {} does not fit {channels} channels",
            places.len()
        );
    }
    let pixels = space.iter().product::<usize>();
    let sample = channels * pixels;
    let mut y = vec![T::zero(); x.len()];
    let least = run_length(*batch).max(MIN_NUMBERS.div_ceil(sample));
    y.par_chunks_exact_mut(sample)
        .zip(x.par_chunks_exact(sample))
        .with_min_len(least)
        .for_each(|(y, x)| {
            // Copying slices of one number costs more than the number.
            if pixels == 1 {
                for (y, &place) in y.iter_mut().zip(places) {
                    *y = x[place as usize];
                }
            } else {
                for (y, &place) in y.chunks_exact_mut(pixels).zip(places) {
                    y.copy_from_slice(&x[place as usize * pixels..][..pixels]);
                }
            }
        });
    Ok(y)
}

impl<T: Number> CustomOp1 for Reorder<T> {
    fn name(&self) -> &'static str {
        "reorder"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = gather::<T>(contiguous(x, layout)?, layout.shape(), &self.0.places)?;
        Ok((T::to_cpu_storage_owned(y), layout.shape().clone()))
    }

    fn bwd(&self, _x: &Tensor, _y: &Tensor, grad_y: &Tensor) -> Result<Option<Tensor>> {
        let grad_y = grad_y.contiguous()?;
        let (storage, layout) = grad_y.storage_and_layout();
        let Storage::Cpu(storage) = &*storage else {
            bail!("reorder: the fused form runs on the CPU");
        };
        let grad_x = gather::<T>(
            contiguous(storage, layout)?,
            layout.shape(),
            &self.0.inverse,
        )?;
        Ok(Some(host(grad_x, grad_y.shape())?))
    }
}
