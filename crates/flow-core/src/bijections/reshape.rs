//! The same numbers in another shape.

use crate::{Bijection, Result, shape};
use candle_core::{Shape, Tensor, bail};

/// Samples of one shape as samples of another, such as images as vectors; log_det = 0.
///
/// ```
/// use candle_core::{DType, Device};
/// use flow_core::{Bijection, Reshape, random};
///
/// let x = random::normal(0, (2, 1, 4, 4), DType::F32, &Device::Cpu)?;
/// let (y, _) = Reshape::new((1, 4, 4), 16)?.forward(&x)?;
/// assert_eq!(y.dims(), [2, 16]);
/// # candle_core::Result::Ok(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reshape {
    from: Shape,
    to: Shape,
}

impl Reshape {
    /// A map from one sample shape, without the batch, to another.
    ///
    /// # Errors
    /// If the two shapes differ in size.
    pub fn new(from: impl Into<Shape>, to: impl Into<Shape>) -> Result<Self> {
        let (from, to) = (from.into(), to.into());
        if from.elem_count() != to.elem_count() {
            bail!("reshape: samples of shape {from:?} and {to:?} differ in size");
        }
        Ok(Self { from, to })
    }
}

impl Bijection for Reshape {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let y = reshape(x, &self.from, &self.to)?;
        let log_det = Tensor::zeros(y.dim(0)?, x.dtype(), x.device())?;
        Ok((y, log_det))
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        reshape(y, &self.to, &self.from)
    }
}

fn reshape(x: &Tensor, from: &Shape, to: &Shape) -> Result<Tensor> {
    let batch = shape::samples("reshape", x, from.dims())?;
    x.reshape([&[batch], to.dims()].concat())
}
