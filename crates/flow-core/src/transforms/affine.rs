//! Shifts and scales (Dinh, Sohl-Dickstein & Bengio 2017, arXiv:1605.08803).

use super::{Layout, Transform};
use crate::Result;
use crate::ops::affine::{self, Order, ScaleMap};
use candle_core::Tensor;

/// y = (x + shift) ⊙ s or x ⊙ s + shift, by the order, with log_det = Σ ln s. The network gives all
/// shifts, then the raw scales, which the map turns into s.
///
/// O(1) a number; fused on the CPU. Dinh, Sohl-Dickstein & Bengio 2017 (arXiv:1605.08803).
///
/// ```
/// use candle_core::{Device, Tensor};
/// use flow_core::{Affine, Order, ScaleMap, Transform};
///
/// let affine = Affine(ScaleMap::Exp, Order::ScaleFirst);
/// let (x, h) = (Tensor::new(&[[3.0]], &Device::Cpu)?, Tensor::new(&[[[1.0, 2_f64.ln()]]], &Device::Cpu)?);
/// let (y, log_det) = affine.forward(&x, &h)?;
/// assert!((y.to_vec2::<f64>()?[0][0] - 7.0).abs() < 1e-12);
/// assert_eq!(log_det.to_vec1::<f64>()?, [2_f64.ln()]);
/// # candle_core::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine(pub ScaleMap, pub Order);

impl Transform for Affine {
    fn parameters(&self) -> usize {
        2
    }

    fn forward(&self, x: &Tensor, h: &Tensor) -> Result<(Tensor, Tensor)> {
        self.forward_last(x, &self.layout().pack(h)?)
    }

    fn inverse(&self, y: &Tensor, h: &Tensor) -> Result<Tensor> {
        self.inverse_last(y, &self.layout().pack(h)?)
    }

    fn layout(&self) -> Layout {
        Layout::ParameterMajor
    }

    fn forward_last(&self, x: &Tensor, h: &Tensor) -> Result<(Tensor, Tensor)> {
        affine::forward(x, h, self.0, self.1)
    }

    fn inverse_last(&self, y: &Tensor, h: &Tensor) -> Result<Tensor> {
        affine::inverse(y, h, self.0, self.1)
    }

    fn inverse_last_with_log_det(&self, y: &Tensor, h: &Tensor) -> Result<(Tensor, Tensor)> {
        affine::inverse_with_log_det(y, h, self.0, self.1)
    }
}
