//! The central trait: an invertible map and the logarithm of its volume change.
//!
//! Libraries disagree on the direction. Here `forward` maps data towards the latent space: training
//! needs the likelihood and calls `forward`, sampling calls `inverse`.

use crate::runs::Rows;
use crate::{Gradients, Result, shape};
use candle_core::{Tensor, Var};
use std::ops::Deref;

/// A map applied to the output of each part of an inverse; [`Ok`] is the identity.
pub type Limit = fn(Tensor) -> Result<Tensor>;

/// An invertible map between tensors of equal size, with a tractable Jacobian determinant.
///
/// `x` and `y` are `[B, …]`; `log_det` is `[B]`: ln|det ∂y/∂x| of each sample, in nats.
pub trait Bijection: Send + Sync {
    /// y = f(x), and ln|det ∂y/∂x| of each sample.
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)>;

    /// x = f⁻¹(y).
    fn inverse(&self, y: &Tensor) -> Result<Tensor>;

    /// x = f⁻¹(y), with `limit` applied to the output of every part of f.
    fn inverse_within(&self, y: &Tensor, limit: Limit) -> Result<Tensor> {
        limit(self.inverse(y)?)
    }

    /// x = f⁻¹(y), and ln|det ∂x/∂y| of each sample.
    fn inverse_with_log_det(&self, y: &Tensor) -> Result<(Tensor, Tensor)> {
        let x = self.inverse(y)?;
        let (_, log_det) = self.forward(&x)?;
        Ok((x, log_det.neg()?))
    }

    /// Maps that it is composed of, in the order in which data pass; empty for a single map.
    fn parts(&self) -> Vec<&dyn Bijection> {
        Vec::new()
    }

    /// K, the size of the context that [`given`](Self::given) needs (for images: its channels).
    /// `None` if the map takes no context, or one is bound already.
    fn context(&self) -> Option<usize> {
        None
    }

    /// The bijection that `context` `[B, K]` selects, one row for each sample or one for all.
    ///
    /// # Errors
    /// If the map takes no context, one is bound already, or its size differs.
    fn given(&self, context: &Tensor) -> Result<Box<dyn Bijection + '_>> {
        shape::refuse_context(context)
    }

    /// The bijection that `context` selects, or the same one if it takes no context: so a
    /// composition binds its parts.
    ///
    /// # Errors
    /// As [`given`](Self::given).
    fn given_if_taken(&self, context: &Tensor) -> Result<Box<dyn Bijection + '_>>
    where
        Self: Sized,
    {
        match self.context() {
            Some(_) => self.given(context),
            None => Ok(Box::new(self)),
        }
    }

    /// The same map for one step of a training, whose random parts, such as dropout, are drawn from
    /// `seed`; `None` if it has none. A composition passes it on to its parts.
    fn in_training(&self, seed: u64) -> Result<Option<Box<dyn Bijection + '_>>> {
        let _ = seed;
        Ok(None)
    }

    /// The same map for some rows of a batch, without a graph. Scoring and sampling use it run by
    /// run.
    ///
    /// Fused operations take their fastest form in a frozen map. Whatever depends on parameters
    /// alone, such as the inverse of a matrix, is computed once. A map that holds a row for each
    /// sample, such as a bound context, gives that of `rows`. A frozen map can be frozen again, for
    /// fewer rows.
    ///
    /// # Errors
    /// If the bound context has another number of rows than the batch.
    fn frozen(&self, rows: &Rows) -> Result<Box<dyn Bijection + '_>> {
        let _ = rows;
        Ok(Box::new(Detached(self)))
    }

    /// Sets the parameters that depend on data from one batch, and returns f(x), detached.
    ///
    /// Call it once, on a fresh model, before the first training step. It is a method and not a
    /// state of `forward`, so nothing initialises itself twice.
    fn initialize(&self, x: &Tensor) -> Result<Tensor> {
        Ok(self.forward(x)?.0.detach())
    }

    /// Back-propagates through f from its output alone: x is recovered by inversion, so activations
    /// need not be stored. Adds the parameters' gradients to `grads`; returns (x, ∂L/∂x).
    ///
    /// `grad_y` has the shape of `y`, `grad_log_det` is `[B]`.
    fn backward(
        &self,
        y: &Tensor,
        grad_y: &Tensor,
        grad_log_det: &Tensor,
        grads: &mut Gradients,
    ) -> Result<(Tensor, Tensor)> {
        let x = self.inverse(y)?;
        pull_back(self, &x, grad_y, grad_log_det, grads)
    }
}

/// The result of [`Bijection::backward`] of the output at `x`.
pub(crate) fn pull_back<B: Bijection + ?Sized>(
    bijection: &B,
    x: &Tensor,
    grad_y: &Tensor,
    grad_log_det: &Tensor,
    grads: &mut Gradients,
) -> Result<(Tensor, Tensor)> {
    let x = Var::from_tensor(&x.detach())?;
    let (y, log_det) = bijection.forward(x.as_tensor())?;
    let [grad_x] = grads.pull_back(&[(&y, grad_y), (&log_det, grad_log_det)], [&x])?;
    Ok((x.as_detached_tensor(), grad_x))
}

/// Pointers to bijections are bijections: a reference, a `Box`, an enum of maps that derefs to the
/// one it holds.
impl<P: Deref<Target: Bijection> + Send + Sync> Bijection for P {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        (**self).forward(x)
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        (**self).inverse(y)
    }

    fn inverse_within(&self, y: &Tensor, limit: Limit) -> Result<Tensor> {
        (**self).inverse_within(y, limit)
    }

    fn inverse_with_log_det(&self, y: &Tensor) -> Result<(Tensor, Tensor)> {
        (**self).inverse_with_log_det(y)
    }

    fn parts(&self) -> Vec<&dyn Bijection> {
        (**self).parts()
    }

    fn context(&self) -> Option<usize> {
        (**self).context()
    }

    fn given(&self, context: &Tensor) -> Result<Box<dyn Bijection + '_>> {
        (**self).given(context)
    }

    fn in_training(&self, seed: u64) -> Result<Option<Box<dyn Bijection + '_>>> {
        (**self).in_training(seed)
    }

    fn frozen(&self, rows: &Rows) -> Result<Box<dyn Bijection + '_>> {
        (**self).frozen(rows)
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

/// `parts` in a training step; `None` if none of them has random parts.
pub(crate) fn parts_in_training<B: Bijection>(
    parts: &[B],
    seed: u64,
) -> Result<Option<Vec<Box<dyn Bijection + '_>>>> {
    let drawn = parts.iter().map(|part| part.in_training(seed));
    let drawn = drawn.collect::<Result<Vec<_>>>()?;
    if drawn.iter().all(Option::is_none) {
        return Ok(None);
    }
    let drawn = drawn.into_iter().zip(parts);
    let drawn = drawn.map(|(own, part)| own.unwrap_or_else(|| Box::new(part)));
    Ok(Some(drawn.collect()))
}

/// A map, or the network of a coupling, whose results carry no graph.
pub(crate) struct Detached<B>(pub(crate) B);

impl<B: Bijection> Bijection for Detached<B> {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let (y, log_det) = self.0.forward(x)?;
        Ok((y.detach(), log_det.detach()))
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        Ok(self.0.inverse(y)?.detach())
    }

    fn inverse_with_log_det(&self, y: &Tensor) -> Result<(Tensor, Tensor)> {
        let (x, log_det) = self.0.inverse_with_log_det(y)?;
        Ok((x.detach(), log_det.detach()))
    }

    fn context(&self) -> Option<usize> {
        self.0.context()
    }

    fn given(&self, context: &Tensor) -> Result<Box<dyn Bijection + '_>> {
        Ok(Box::new(Detached(self.0.given(context)?)))
    }

    fn frozen(&self, rows: &Rows) -> Result<Box<dyn Bijection + '_>> {
        self.0.frozen(rows)
    }
}
