//! Fused operations: where a flow's time goes, as few passes over memory as possible.
//!
//! Each file offers one plain function on tensors and holds, beside its fused CPU form for f32, a
//! `composed` twin of plain candle operations. The twin is the specification: it serves every other
//! device and dtype, and the tests compare values and gradients of both.
//!
//! A batch is cut into runs of samples whose number does not depend on how many threads there are,
//! and partial sums are added in the order of the runs: results repeat bit for bit.

// Loops only reach the instruction set they are dispatched to if their bodies are inlined there.
#![allow(clippy::inline_always)]

pub mod affine;
mod buffer;
pub mod channel_map;
pub mod channel_mix;
pub mod coupling_network;
pub(crate) mod elementary;
pub mod linear;
mod matrix;
mod product;
mod simd;
pub mod spline;
mod view;

pub use product::Precision;

use crate::device::is_host;
use candle_core::{DType, Result, Shape, Tensor, bail};
use std::ops::DerefMut;

/// Sums of parameter gradients are kept for at most so many runs of a batch.
const MAX_RUNS: usize = 16;

/// Items of each run, of `count` in all.
fn run_length(count: usize) -> usize {
    count.div_ceil(MAX_RUNS).max(1)
}

/// True if the fused form applies: everything else takes the composed one.
fn fusible(tensor: &Tensor) -> bool {
    is_host(tensor.device()) && tensor.dtype() == DType::F32 && tensor.elem_count() > 0
}

/// An empty batch after a map that keeps shapes: itself, and its log_det.
pub(crate) fn nothing(x: &Tensor) -> Result<(Tensor, Tensor)> {
    Ok((x.clone(), Tensor::zeros(x.dim(0)?, x.dtype(), x.device())?))
}

/// Channels of `x` `[B, C, …]` that pass, and the last C₂, which move: `h` `[B, K·C₂, …]` has
/// K = `parameters` for each of them.
///
/// # Errors
/// If the shapes do not fit.
pub(crate) fn moving(who: &str, x: &Shape, h: &Shape, parameters: usize) -> Result<[usize; 2]> {
    if let ([batch, channels, space @ ..], [rows, found, places @ ..]) = (x.dims(), h.dims()) {
        let moved = found.checked_div(parameters).unwrap_or(0);
        let fits = rows == batch && places == space && moved * parameters == *found;
        if fits && (1..=*channels).contains(&moved) {
            return Ok([channels - moved, moved]);
        }
    }
    bail!(
        "{who}: parameters of shape {h:?}, {parameters} for each channel that moves, do not fit inputs \
         of shape {x:?}"
    )
}

/// Adds up equally long partial sums, first to last.
fn sum_in_order<T: DerefMut<Target = [f32]>>(parts: Vec<T>) -> Option<T> {
    let mut parts = parts.into_iter();
    let mut total = parts.next()?;
    for part in parts {
        simd::add(&mut total, &part);
    }
    Some(total)
}
