//! Fused operations on a flow's hot path, with few passes over memory.
//!
//! Each file offers one plain function on tensors. Beside its fused CPU form it has a
//! `composed` twin of plain candle operations. The twin is the specification: it serves every other
//! device and dtype, and the tests compare values and gradients of both. What flows of vectors use
//! is fused in f32 and f64, [`coupling_network`] and [`channel_map`] in f32.
//!
//! A batch is cut into runs whose number does not depend on the number of threads. Partial sums are
//! added in the order of the runs, so results repeat bit for bit.

// Loop bodies must be inlined to reach the instruction set they are dispatched to.
#![allow(clippy::inline_always)]

pub(crate) mod activation;
pub mod affine;
mod buffer;
pub mod channel_map;
pub mod channel_mix;
pub mod column_affine;
pub mod coupling_network;
pub(crate) mod elementary;
mod elementwise;
pub mod linear;
pub mod lower_upper;
mod matrix;
mod number;
pub(crate) mod orthogonal;
mod product;
pub(crate) mod reorder;
pub(crate) mod root;
mod simd;
pub mod spline;
pub(crate) mod units;
pub(crate) mod view;

pub use product::Precision;

use crate::device::is_host;
use candle_core::{DType, Result, Shape, Tensor, bail};
use number::Number;
use std::ops::DerefMut;

/// Largest number of runs of a batch that each have their own sums of parameter gradients.
const MAX_RUNS: usize = 16;

/// Items of each run, for `count` items.
fn run_length(count: usize) -> usize {
    count.div_ceil(MAX_RUNS).max(1)
}

/// True if the fused form applies; otherwise the composed one does.
fn fusible(tensor: &Tensor) -> bool {
    let is_number = matches!(tensor.dtype(), DType::F32 | DType::F64);
    is_host(tensor.device()) && is_number && tensor.elem_count() > 0
}

/// As [`fusible`], where only f32 has a fused form.
fn fusible_in_f32(tensor: &Tensor) -> bool {
    fusible(tensor) && tensor.dtype() == DType::F32
}

/// Result of a shape-preserving map on an empty batch: itself, and its log_det.
pub(crate) fn empty_output(x: &Tensor) -> Result<(Tensor, Tensor)> {
    Ok((x.clone(), Tensor::zeros(x.dim(0)?, x.dtype(), x.device())?))
}

/// Numbers of passing and of transformed channels of `x` `[B, C, …]`. The last C₂ are transformed:
/// `h` `[B, K·C₂, …]` has K = `parameters` for each of them.
///
/// # Errors
/// If the shapes do not fit.
pub(crate) fn channel_split(
    who: &str,
    x: &Shape,
    h: &Shape,
    parameters: usize,
) -> Result<[usize; 2]> {
    if let ([batch, channels, space @ ..], [rows, found, places @ ..]) = (x.dims(), h.dims()) {
        let moved = found.checked_div(parameters).unwrap_or(0);
        let fits = rows == batch && places == space && moved * parameters == *found;
        if fits && (1..=*channels).contains(&moved) {
            return Ok([channels - moved, moved]);
        }
    }
    bail!(
        "{who}: parameters of shape {h:?}, {parameters} for each transformed channel, do not fit inputs \
         of shape {x:?}"
    )
}

/// Sums equally long partial sums, first to last.
fn sum_in_order<N: Number, T: DerefMut<Target = [N]>>(parts: Vec<T>) -> Option<T> {
    let mut parts = parts.into_iter();
    let mut total = parts.next()?;
    for part in parts {
        simd::add(&mut total, &part);
    }
    Some(total)
}
