//! The channels of images or vectors in another order.

use super::number::Number;
use super::view::{contiguous, host};
use super::{fusible, run_length};
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Storage, Tensor, bail};
use rayon::prelude::*;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

/// Minimum numbers per thread: handing over costs as much as some of them.
const MIN_NUMBERS: usize = 1 << 14;

/// A permutation of channels: channel i of the result is channel `places[i]` of the input.
#[derive(Clone, Debug)]
pub(crate) struct Reordering {
    places: Arc<[u32]>,
    inverse: Arc<[u32]>,
    /// The places as indices on the device that asked for them first.
    on_device: OnceLock<Tensor>,
}

impl Reordering {
    /// `places` is a permutation of the channels.
    pub(crate) fn new(places: Vec<u32>) -> Self {
        let mut inverse = vec![0; places.len()];
        for (place, &channel) in (0..).zip(&places) {
            inverse[channel as usize] = place;
        }
        Self {
            places: places.into(),
            inverse: inverse.into(),
            on_device: OnceLock::new(),
        }
    }

    /// The inverse, which puts the channels back.
    pub(crate) fn inverse(&self) -> Self {
        Self {
            places: self.inverse.clone(),
            inverse: self.places.clone(),
            on_device: OnceLock::new(),
        }
    }

    /// Number of channels.
    pub(crate) fn channels(&self) -> usize {
        self.places.len()
    }
}

impl PartialEq for Reordering {
    fn eq(&self, other: &Self) -> bool {
        self.places == other.places
    }
}

impl Eq for Reordering {}

/// `x` `[B, C, …]` with its channels in `order`; `x` itself for the identity.
pub(crate) fn reorder(x: &Tensor, order: &Reordering) -> Result<Tensor> {
    if order.places.is_sorted() {
        return Ok(x.clone());
    }
    if !fusible(x) {
        return composed::reorder(x, order);
    }
    let (x, order) = (x.contiguous()?, order.clone());
    match x.dtype() {
        DType::F64 => x.apply_op1(Reorder::<f64>(order, PhantomData)),
        _ => x.apply_op1(Reorder::<f32>(order, PhantomData)),
    }
}

/// The specification, in plain candle operations.
pub(crate) mod composed {
    use super::Reordering;
    use crate::transfer;
    use candle_core::{DType, Result, Tensor};

    /// As [`super::reorder`].
    pub(crate) fn reorder(x: &Tensor, order: &Reordering) -> Result<Tensor> {
        let there = order.on_device.get();
        if let Some(places) = there.filter(|places| places.device().same_device(x.device())) {
            return x.contiguous()?.index_select(places, 1);
        }
        let (places, count) = (order.places.to_vec(), order.channels());
        let places = transfer::upload(places, count, DType::U32, x.device())?;
        order.on_device.get_or_init(|| places.clone());
        x.contiguous()?.index_select(&places, 1)
    }
}

struct Reorder<T>(Reordering, PhantomData<T>);

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
