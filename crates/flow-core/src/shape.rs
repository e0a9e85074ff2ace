//! Shapes checked at the door: an error names who refuses, what it got and what it needed.

use crate::Result;
use candle_core::{Tensor, bail};

/// The error of `who` on a tensor that is not of the shape `needed`.
pub(crate) fn refuse<T>(who: &str, x: &Tensor, needed: &str) -> Result<T> {
    bail!(
        "{who}: got a tensor of shape {:?}, needed {needed}",
        x.dims()
    )
}

/// B of samples of any shape, `[B, …]`.
pub(crate) fn batch(who: &str, x: &Tensor) -> Result<usize> {
    match *x.dims() {
        [batch, _, ..] => Ok(batch),
        _ => refuse(who, x, "[B, …] with two dimensions or more"),
    }
}

/// B of samples of so many channels, `[B, channels, …]`.
pub(crate) fn channels(who: &str, x: &Tensor, channels: usize) -> Result<usize> {
    match *x.dims() {
        [batch, found, ..] if found == channels => Ok(batch),
        _ => refuse(who, x, &format!("[B, {channels}, …]")),
    }
}

/// B of vectors `[B, features]`.
pub(crate) fn vectors(who: &str, x: &Tensor, features: usize) -> Result<usize> {
    match *x.dims() {
        [batch, found] if found == features => Ok(batch),
        _ => refuse(who, x, &format!("[B, {features}]")),
    }
}

/// `(B, C, H, W)` of images of so many channels.
pub(crate) fn images(
    who: &str,
    x: &Tensor,
    channels: usize,
) -> Result<(usize, usize, usize, usize)> {
    match *x.dims() {
        [b, c, h, w] if c == channels => Ok((b, c, h, w)),
        _ => refuse(who, x, &format!("[B, {channels}, H, W]")),
    }
}

/// B of samples of the shape `sample`, `[B, sample…]`.
pub(crate) fn samples(who: &str, x: &Tensor, sample: &[usize]) -> Result<usize> {
    match x.dims() {
        [batch, found @ ..] if found == sample => Ok(*batch),
        _ => {
            let sizes = sample.iter().map(|size| format!(", {size}"));
            refuse(who, x, &format!("[B{}]", sizes.collect::<String>()))
        }
    }
}

/// The error of a context that has nothing to bind to.
pub(crate) fn refuse_context<T>(context: &Tensor) -> Result<T> {
    refuse(
        "given",
        context,
        "none: nothing here takes a context, or one is bound already",
    )
}
