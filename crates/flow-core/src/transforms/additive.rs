//! Shifts, which preserve volume (Dinh, Krueger & Bengio 2015, arXiv:1410.8516).

use super::Transform;
use crate::Result;
use candle_core::Tensor;

/// y = x + h, with log_det = 0 (Dinh, Krueger & Bengio 2015, arXiv:1410.8516).
///
/// ```
/// use candle_core::{Device, Tensor};
/// use flow_core::{Additive, Transform};
///
/// let (x, h) = (Tensor::new(&[[1.0]], &Device::Cpu)?, Tensor::new(&[[[2.5]]], &Device::Cpu)?);
/// assert_eq!(Additive.forward(&x, &h)?.0.to_vec2::<f64>()?, [[3.5]]);
/// # candle_core::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Additive;

impl Transform for Additive {
    fn parameters(&self) -> usize {
        1
    }

    fn forward(&self, x: &Tensor, h: &Tensor) -> Result<(Tensor, Tensor)> {
        let log_det = Tensor::zeros(x.dim(0)?, x.dtype(), x.device())?;
        Ok(((x + h.squeeze(2)?)?, log_det))
    }

    fn inverse(&self, y: &Tensor, h: &Tensor) -> Result<Tensor> {
        y - h.squeeze(2)?
    }
}
