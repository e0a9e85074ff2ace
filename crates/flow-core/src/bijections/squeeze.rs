//! Squeeze: trades space for channels.

use crate::{Bijection, Gradients, Result, shape};
use candle_core::{Tensor, bail};

/// `[B, C, H, W]` → `[B, 4C, H/2, W/2]`; every 2×2 block of pixels becomes channels.
///
/// ```text
/// y[b, 4c + 2i + j, h, w] = x[b, c, 2h + i, 2w + j]
/// log_det = 0
/// ```
///
/// Dinh, Sohl-Dickstein & Bengio 2017, section 3.6 (arXiv:1605.08803). The channel order is the
/// channel-major one of Glow's published code.
///
/// ```
/// use candle_core::{DType, Device};
/// use flow_core::{Bijection, Squeeze, random};
///
/// let x = random::normal(0, (2, 3, 4, 4), DType::F32, &Device::Cpu)?;
/// assert_eq!(Squeeze.forward(&x)?.0.dims(), [2, 12, 2, 2]);
/// # candle_core::Result::Ok(())
/// ```
pub struct Squeeze;

impl Bijection for Squeeze {
    /// # Errors
    /// If height or width is odd.
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let &[b, c, h, w] = x.dims() else {
            return shape::refuse("squeeze", x, "[B, C, H, W]");
        };
        if h % 2 != 0 || w % 2 != 0 {
            bail!("squeeze: height {h} and width {w} must be even");
        }
        let y = x
            .reshape(&[b, c, h / 2, 2, w / 2, 2])?
            .permute([0, 1, 3, 5, 2, 4])?
            .reshape((b, 4 * c, h / 2, w / 2))?;
        Ok((y, Tensor::zeros(b, x.dtype(), x.device())?))
    }

    /// # Errors
    /// If the number of channels is not a multiple of 4.
    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        let &[b, c, h, w] = y.dims() else {
            return shape::refuse("squeeze", y, "[B, 4·C, H, W]");
        };
        if c % 4 != 0 {
            bail!("squeeze: channels {c} must be a multiple of 4 to unsqueeze");
        }
        y.reshape(&[b, c / 4, 2, 2, h, w])?
            .permute([0, 1, 4, 2, 5, 3])?
            .reshape((b, c / 4, 2 * h, 2 * w))
    }

    /// Gradients are rearranged like the numbers.
    fn backward(
        &self,
        y: &Tensor,
        grad_y: &Tensor,
        _grad_log_det: &Tensor,
        _grads: &mut Gradients,
    ) -> Result<(Tensor, Tensor)> {
        if grad_y.shape() != y.shape() {
            return shape::refuse("squeeze: gradient", grad_y, &format!("{:?}", y.dims()));
        }
        Ok((self.inverse(y)?, self.inverse(grad_y)?))
    }
}
