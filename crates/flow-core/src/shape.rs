//! Checks of shapes. Errors name the operation, the shape it got and the shape it needs.

use crate::Result;
use candle_core::{Tensor, bail};

/// The error of `who` on a tensor that does not have the shape `needed`.
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

/// B of samples with `channels` channels, `[B, channels, …]`.
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

/// `(B, C, H, W)` of images with `channels` channels.
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

/// The error of a context for a map that takes none.
pub(crate) fn refuse_context<T>(context: &Tensor) -> Result<T> {
    refuse(
        "given",
        context,
        "none: the map takes no context, or one is bound already",
    )
}
