//! Networks that give the parameters of transforms.

mod mlp;

pub use mlp::{Mlp, MlpSize};

use crate::bijection::Detached;
use crate::runs::Rows;
use crate::{Result, shape};
use candle_core::Tensor;
use std::ops::Deref;

/// The network of a coupling: from the channels that pass to the parameters of the transform.
pub trait Conditioner: Send + Sync {
    /// `[B, C₁, …]` → `[B, K·C₂, …]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor>;

    /// Sets what depends on data from one batch, and returns `forward(x)`.
    fn initialize(&self, x: &Tensor) -> Result<Tensor> {
        self.forward(x)
    }

    /// C₁ and the channels given, if the network is made for so many and no others.
    fn sizes(&self) -> Option<[usize; 2]> {
        None
    }

    /// K of the context that [`given`](Self::given) needs; `None` if it takes none or has one.
    fn context(&self) -> Option<usize> {
        None
    }

    /// The same network that also sees `context` `[B, K]`.
    ///
    /// # Errors
    /// If the network takes no context, one is bound already, or it has another size.
    fn given(&self, context: &Tensor) -> Result<Box<dyn Conditioner + '_>> {
        shape::refuse_context(context)
    }

    /// The same network for some rows of a batch, without a graph.
    ///
    /// # Errors
    /// If what is bound has another number of rows than the batch.
    fn frozen(&self, rows: &Rows) -> Result<Box<dyn Conditioner + '_>> {
        let _ = rows;
        Ok(Box::new(Detached(self)))
    }
}

/// References and boxes.
impl<P: Deref<Target: Conditioner> + Send + Sync> Conditioner for P {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        (**self).forward(x)
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

    fn frozen(&self, rows: &Rows) -> Result<Box<dyn Conditioner + '_>> {
        (**self).frozen(rows)
    }
}

impl<N: Conditioner> Conditioner for Detached<N> {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(self.0.forward(x)?.detach())
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
