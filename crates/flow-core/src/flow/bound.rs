//! A bijection with a bound context.

use crate::bijection::Limit;
use crate::runs::Rows;
use crate::{Bijection, Gradients, Result, shape};
use candle_core::Tensor;

/// The bijection of a context `[B, K]` or `[1, K]`.
///
/// Networks receive the context when the map is applied, and for a run of the batch only its rows.
/// So memory does not grow with the rows of the context.
pub(super) struct Bound<B> {
    bijection: B,
    context: Tensor,
    frozen: bool,
}

impl<B: Bijection> Bound<B> {
    pub(super) fn new(bijection: B, context: &Tensor) -> Result<Self> {
        check(&bijection, context)?;
        Ok(Self {
            bijection,
            context: context.clone(),
            frozen: false,
        })
    }

    /// `work` with the bijection of the context, for a batch like `x`.
    fn with<T>(&self, x: &Tensor, work: impl FnOnce(&dyn Bijection) -> Result<T>) -> Result<T> {
        let rows = Rows::all(shape::batch("flow", x)?);
        let bound = self.bijection.given(&rows.of_context(&self.context)?)?;
        if self.frozen {
            work(&*bound.frozen(&rows)?)
        } else {
            work(&*bound)
        }
    }
}

/// # Errors
/// If the context does not fit `bijection`.
fn check(bijection: &impl Bijection, context: &Tensor) -> Result<()> {
    let Some(size) = bijection.context() else {
        return shape::refuse_context(context);
    };
    let rows = shape::channels("context", context, size)?;
    bijection.given(&context.narrow(0, 0, rows.min(1))?)?;
    Ok(())
}

/// Every row of `context` `[M, …]`, `times` times, `[M·times, …]`; a single row as it is.
pub(super) fn repeated(context: &Tensor, times: usize) -> Result<Tensor> {
    let dims = context.dims();
    if dims[0] == 1 {
        return Ok(context.clone());
    }
    let spread = [&[dims[0], times], &dims[1..]].concat();
    context.unsqueeze(1)?.broadcast_as(spread)?.flatten(0, 1)
}

impl<B: Bijection> Bijection for Bound<B> {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        self.with(x, |bound| bound.forward(x))
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        self.with(y, |bound| bound.inverse(y))
    }

    fn inverse_within(&self, y: &Tensor, limit: Limit) -> Result<Tensor> {
        self.with(y, |bound| bound.inverse_within(y, limit))
    }

    fn inverse_with_log_det(&self, y: &Tensor) -> Result<(Tensor, Tensor)> {
        self.with(y, |bound| bound.inverse_with_log_det(y))
    }

    fn in_training(&self, seed: u64) -> Result<Option<Box<dyn Bijection + '_>>> {
        let bijection = self.bijection.in_training(seed)?;
        let with = |bijection| Bound {
            bijection,
            context: self.context.clone(),
            frozen: self.frozen,
        };
        Ok(bijection.map(|bijection| Box::new(with(bijection)) as _))
    }

    fn frozen(&self, rows: &Rows) -> Result<Box<dyn Bijection + '_>> {
        Ok(Box::new(Bound {
            bijection: self.bijection.frozen(rows)?,
            context: rows.of_context(&self.context)?,
            frozen: true,
        }))
    }

    fn initialize(&self, x: &Tensor) -> Result<Tensor> {
        self.with(x, |bound| bound.initialize(x))
    }

    fn backward(
        &self,
        y: &Tensor,
        grad_y: &Tensor,
        grad_log_det: &Tensor,
        grads: &mut Gradients,
    ) -> Result<(Tensor, Tensor)> {
        self.with(y, |bound| bound.backward(y, grad_y, grad_log_det, grads))
    }
}
