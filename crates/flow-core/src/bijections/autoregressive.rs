//! Masked autoregressive flows: each number is transformed with parameters from the numbers before
//! it.
//!
//! ```text
//! h = made(x),  h of number i depends on x₀, …, xᵢ₋₁ alone
//! y = transform(x; h);  log_det is the transform's, since the Jacobian is triangular
//! ```
//!
//! Densities take one pass, samples D passes; `Inverse` swaps the two. Germain et al. 2015 (MADE,
//! arXiv:1502.03509); Kingma et al. 2016 (IAF, arXiv:1606.04934); Papamakarios, Pavlakou & Murray
//! 2017 (MAF, arXiv:1705.07057).

use crate::params::ParamBuilder;
use crate::runs::Rows;
use crate::{Bijection, Conditioner, Mlp, MlpSize, Result, Transform, shape};
use candle_core::{Tensor, bail};

/// An autoregressive flow of vectors `[B, D]`.
pub struct Autoregressive<T, N = Mlp> {
    /// D.
    features: usize,
    transform: T,
    /// `[B, D]` → `[B, K·D]`, masked.
    made: N,
}

impl<T: Transform> Autoregressive<T> {
    /// A flow of `features` numbers in order, whose parameters a MADE of the given `size` predicts.
    /// It starts as [`Mlp::for_transform`]. Parameters as in [`Mlp::new`].
    ///
    /// # Errors
    /// If `features` is 0, or the network is narrower than D − 1. Each of 1, …, D − 1 is the degree
    /// of a hidden unit, so that every number depends on all before it.
    pub fn new(features: usize, transform: T, size: MlpSize, params: ParamBuilder) -> Result<Self> {
        if features == 0 {
            bail!("autoregressive: needs at least one number");
        }
        if size.width < features - 1 {
            bail!(
                "autoregressive: got a network of width {}, needed {} or more for {features} numbers: \
                 some would not depend on all before them",
                size.width,
                features - 1
            );
        }
        let made = Mlp::made(&transform, features, size, params)?;
        Ok(Self {
            features,
            transform,
            made,
        })
    }
}

impl<T: Transform, N> Autoregressive<T, N> {
    /// The same flow with another network.
    fn with<M>(&self, made: M) -> Autoregressive<&dyn Transform, M> {
        Autoregressive {
            features: self.features,
            transform: &self.transform,
            made,
        }
    }
}

impl<T: Transform, N: Conditioner> Bijection for Autoregressive<T, N> {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        shape::vectors("autoregressive", x, self.features)?;
        self.transform.forward_last(x, &self.made.forward(x)?)
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        let features = self.features;
        let batch = shape::vectors("autoregressive", y, features)?;
        if batch == 0 {
            return Ok(y.clone());
        }
        let layout = self.transform.layout();
        let mut known = Vec::with_capacity(features);
        for index in 0..features {
            // Unknown numbers are zero: the masks ignore them, but they must stay finite.
            let rest = Tensor::zeros((batch, features - index), y.dtype(), y.device())?;
            let x = Tensor::cat(&[&known[..], &[rest]].concat(), 1)?;
            let h = layout.unpack(&self.made.forward(&x)?, self.transform.parameters())?;
            let (y, h) = (y.narrow(1, index, 1)?, h.narrow(1, index, 1)?);
            known.push(self.transform.inverse(&y, &h)?);
        }
        Tensor::cat(&known, 1)
    }

    fn context(&self) -> Option<usize> {
        self.made.context()
    }

    fn given(&self, context: &Tensor) -> Result<Box<dyn Bijection + '_>> {
        Ok(Box::new(self.with(self.made.given(context)?)))
    }

    fn frozen(&self, rows: &Rows) -> Result<Box<dyn Bijection + '_>> {
        Ok(Box::new(self.with(self.made.frozen(rows)?)))
    }
}
