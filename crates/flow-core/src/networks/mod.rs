//! Networks that predict the parameters of transforms.

mod mlp;
mod periodic;

pub use mlp::{Mlp, MlpSize};
pub(crate) use mlp::{initial_biases, places};
pub use periodic::PeriodicFeatures;

use crate::bijection::Detached;
use crate::runs::Rows;
use crate::{Result, shape};
use candle_core::Tensor;
use std::ops::Deref;

/// The network of a coupling: from the passing channels to the parameters of the transform.
pub trait Conditioner: Send + Sync {
    /// `[B, C₁, …]` → `[B, K·C₂, …]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor>;

    /// The same network, evaluated number by number for a batch of `rows`. `None` if
    /// [`forward`](Self::forward) serves each number in turn: the default, and where a graph is
    /// recorded.
    ///
    /// # Errors
    /// If a context is missing, or has another number of rows.
    fn incremental(&self, rows: usize) -> Result<Option<Box<dyn Incremental + '_>>> {
        let _ = rows;
        Ok(None)
    }

    /// Sets data-dependent parameters from one batch, and returns `forward(x)`.
    fn initialize(&self, x: &Tensor) -> Result<Tensor> {
        self.forward(x)
    }

    /// C₁ and the number of outputs, if the network has fixed sizes.
    fn sizes(&self) -> Option<[usize; 2]> {
        None
    }

    /// K, the size of the context that [`given`](Self::given) needs; `None` if it takes none or one
    /// is bound.
    fn context(&self) -> Option<usize> {
        None
    }

    /// The same network with `context` `[B, K]` bound.
    ///
    /// # Errors
    /// If the network takes no context, one is bound already, or its size differs.
    fn given(&self, context: &Tensor) -> Result<Box<dyn Conditioner + '_>> {
        shape::refuse_context(context)
    }

    /// The same network for one step of a training, whose random parts, such as dropout, are drawn
    /// from `seed`; `None` if it has none.
    fn in_training(&self, seed: u64) -> Result<Option<Box<dyn Conditioner + '_>>> {
        let _ = seed;
        Ok(None)
    }

    /// The same network for some rows of a batch, without a graph.
    ///
    /// # Errors
    /// If the bound context has another number of rows than the batch.
    fn frozen(&self, rows: &Rows) -> Result<Box<dyn Conditioner + '_>> {
        let _ = rows;
        Ok(Box::new(Detached(self)))
    }
}

/// A network of an [`Autoregressive`](crate::Autoregressive) map, evaluated number by number: what
/// depends on known numbers is kept.
pub trait Incremental {
    /// Parameters of `number`, the next one in the order of the network, `[B, K]`.
    ///
    /// # Errors
    /// If another number comes next.
    fn parameters(&mut self, number: usize) -> Result<Tensor>;

    /// Sets `number`, the next one, to `x` `[B, 1]`.
    ///
    /// # Errors
    /// If another number comes next, or shapes do not fit.
    fn fix(&mut self, number: usize, x: &Tensor) -> Result<()>;
}

/// References and boxes.
impl<P: Deref<Target: Conditioner> + Send + Sync> Conditioner for P {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        (**self).forward(x)
    }

    fn incremental(&self, rows: usize) -> Result<Option<Box<dyn Incremental + '_>>> {
        (**self).incremental(rows)
    }

    fn initialize(&self, x: &Tensor) -> Result<Tensor> {
        (**self).initialize(x)
    }

    fn sizes(&self) -> Option<[usize; 2]> {
        (**self).sizes()
    }

    fn context(&self) -> Option<usize> {
        (**self).context()
    }

    fn given(&self, context: &Tensor) -> Result<Box<dyn Conditioner + '_>> {
        (**self).given(context)
    }

    fn in_training(&self, seed: u64) -> Result<Option<Box<dyn Conditioner + '_>>> {
        (**self).in_training(seed)
    }

    fn frozen(&self, rows: &Rows) -> Result<Box<dyn Conditioner + '_>> {
        (**self).frozen(rows)
    }
}

impl<N: Conditioner> Conditioner for Detached<N> {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(self.0.forward(x)?.detach())
    }

    fn incremental(&self, rows: usize) -> Result<Option<Box<dyn Incremental + '_>>> {
        self.0.incremental(rows)
    }

    fn sizes(&self) -> Option<[usize; 2]> {
        self.0.sizes()
    }

    fn context(&self) -> Option<usize> {
        self.0.context()
    }

    fn given(&self, context: &Tensor) -> Result<Box<dyn Conditioner + '_>> {
        Ok(Box::new(Detached(self.0.given(context)?)))
    }

    fn frozen(&self, rows: &Rows) -> Result<Box<dyn Conditioner + '_>> {
        self.0.frozen(rows)
    }
}
