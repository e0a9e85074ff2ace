//! The inverse of a bijection, as a bijection.

use crate::runs::Rows;
use crate::{Bijection, Result};
use candle_core::Tensor;

/// `Inverse(f)` maps x to f⁻¹(x): `Inverse(Pointwise::Sigmoid)` is the logit, and the inverse of a
/// masked autoregressive flow is an inverse autoregressive one, which samples in one pass.
///
/// Gradients flow through the inverse of every bijection of vectors in this crate.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use flow_core::{Bijection, Inverse, Pointwise};
///
/// let logit = Inverse(Pointwise::Sigmoid);
/// let (y, _) = logit.forward(&Tensor::new(&[[0.5]], &Device::Cpu)?)?;
/// assert_eq!(y.to_vec2::<f64>()?, [[0.0]]);
/// # candle_core::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Inverse<B>(pub B);

impl<B: Bijection> Bijection for Inverse<B> {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        self.0.inverse_with_log_det(x)
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        Ok(self.0.forward(y)?.0)
    }

    fn inverse_with_log_det(&self, y: &Tensor) -> Result<(Tensor, Tensor)> {
        self.0.forward(y)
    }

    fn context(&self) -> Option<usize> {
        self.0.context()
    }

    fn given(&self, context: &Tensor) -> Result<Box<dyn Bijection + '_>> {
        Ok(Box::new(Inverse(self.0.given(context)?)))
    }

    fn in_training(&self, seed: u64) -> Result<Option<Box<dyn Bijection + '_>>> {
        let of = self.0.in_training(seed)?;
        Ok(of.map(|of| Box::new(Inverse(of)) as _))
    }

    fn frozen(&self, rows: &Rows) -> Result<Box<dyn Bijection + '_>> {
        Ok(Box::new(Inverse(self.0.frozen(rows)?)))
    }
}
