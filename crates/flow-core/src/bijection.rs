//! The one trait: an invertible map and the logarithm of its volume change.
//!
//! Libraries disagree on the direction; here `forward` maps data towards the latent space, so that
//! training, which needs the likelihood, calls `forward`, and sampling calls `inverse`.

use crate::{Gradients, Result};
use candle_core::{Tensor, Var};

/// An invertible map between tensors of equal size, with a tractable Jacobian determinant.
///
/// `x` and `y` are `[B, …]`; `log_det` is `[B]`: ln|det ∂y/∂x| of each sample, in nats.
pub trait Bijection: Send + Sync {
    /// y = f(x), and ln|det ∂y/∂x| of each sample.
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)>;

    /// x = f⁻¹(y).
    fn inverse(&self, y: &Tensor) -> Result<Tensor>;

    /// x = f⁻¹(y), and ln|det ∂x/∂y| of each sample.
    fn inverse_with_log_det(&self, y: &Tensor) -> Result<(Tensor, Tensor)> {
        let x = self.inverse(y)?;
        let (_, log_det) = self.forward(&x)?;
        Ok((x, log_det.neg()?))
    }

    /// The bijection that `context` `[B, K]` selects, one row for each sample or one for all; itself if
    /// it depends on none.
    ///
    /// # Errors
    /// If the context has another size than the bijection was made for.
    fn given(&self, context: &Tensor) -> Result<Box<dyn Bijection + '_>> {
        let _ = context;
        Ok(Box::new(self))
    }

    /// Sets the parameters that depend on data from one batch, and returns f(x), detached.
    ///
    /// Called once, on a fresh model, before the first training step; it is a method and not a
    /// state of `forward`, so nothing can initialise itself again by accident.
    fn initialize(&self, x: &Tensor) -> Result<Tensor> {
        Ok(self.forward(x)?.0.detach())
    }

    /// Back-propagates through f from its output alone: x is recovered by inversion, so no
    /// activation has to be kept. Adds the parameters' gradients to `grads`; returns (x, ∂L/∂x).
    ///
    /// `grad_y` has the shape of `y`, `grad_log_det` is `[B]`.
    fn backward(
        &self,
        y: &Tensor,
        grad_y: &Tensor,
        grad_log_det: &Tensor,
        grads: &mut Gradients,
    ) -> Result<(Tensor, Tensor)> {
        let x = Var::from_tensor(&self.inverse(y)?.detach())?;
        let (y, log_det) = self.forward(x.as_tensor())?;
        let [grad_x] = grads.pull_back(&[(&y, grad_y), (&log_det, grad_log_det)], [&x])?;
        Ok((x.as_detached_tensor(), grad_x))
    }
}

impl<B: Bijection + ?Sized> Bijection for Box<B> {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        (**self).forward(x)
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        (**self).inverse(y)
    }

    fn inverse_with_log_det(&self, y: &Tensor) -> Result<(Tensor, Tensor)> {
        (**self).inverse_with_log_det(y)
    }

    fn given(&self, context: &Tensor) -> Result<Box<dyn Bijection + '_>> {
        (**self).given(context)
    }

    fn initialize(&self, x: &Tensor) -> Result<Tensor> {
        (**self).initialize(x)
    }

    fn backward(
        &self,
        y: &Tensor,
        grad_y: &Tensor,
        grad_log_det: &Tensor,
        grads: &mut Gradients,
    ) -> Result<(Tensor, Tensor)> {
        (**self).backward(y, grad_y, grad_log_det, grads)
    }
}

impl<B: Bijection + ?Sized> Bijection for &B {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        (**self).forward(x)
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        (**self).inverse(y)
    }

    fn inverse_with_log_det(&self, y: &Tensor) -> Result<(Tensor, Tensor)> {
        (**self).inverse_with_log_det(y)
    }

    fn given(&self, context: &Tensor) -> Result<Box<dyn Bijection + '_>> {
        (**self).given(context)
    }

    fn initialize(&self, x: &Tensor) -> Result<Tensor> {
        (**self).initialize(x)
    }

    fn backward(
        &self,
        y: &Tensor,
        grad_y: &Tensor,
        grad_log_det: &Tensor,
        grads: &mut Gradients,
    ) -> Result<(Tensor, Tensor)> {
        (**self).backward(y, grad_y, grad_log_det, grads)
    }
}
