//! A rotation or reflection of vectors as a product of reflections.

use crate::params::{Init, ParamBuilder};
use crate::{Bijection, Result, shape};
use candle_core::Tensor;

/// A learned orthogonal map of vectors `[B, D]`.
///
/// ```text
/// y = H_K ⋯ H₁·x,  H = I − 2·v·vᵀ/(vᵀ·v)          log_det = 0
/// ```
///
/// D reflections reach every orthogonal matrix. Tomczak & Welling 2016 (arXiv:1611.09630).
///
/// ```
/// use candle_core::{DType, Device};
/// use flow_core::{Householder, check, params::ParamStore, random};
///
/// let params = ParamStore::new(0);
/// let rotation = Householder::new(4, 4, params.builder(DType::F64, &Device::Cpu))?;
/// let x = random::normal(1, (2, 4), DType::F64, &Device::Cpu)?;
/// check::round_trip(&rotation, &x, 1e-12)?;
/// # candle_core::Result::Ok(())
/// ```
pub struct Householder {
    vectors: Tensor,
}

impl Householder {
    /// A product of `reflections` reflections; an even number can be the identity. Parameter
    /// `vectors`, `[reflections, D]`, random at first.
    pub fn new(features: usize, reflections: usize, params: ParamBuilder) -> Result<Self> {
        let init = Init::Normal { std: 1.0 };
        let vectors = params.get_with_hints((reflections, features), "vectors", init)?;
        Ok(Self { vectors })
    }

    fn reflect(&self, x: &Tensor, index: usize) -> Result<Tensor> {
        let v = self.vectors.narrow(0, index, 1)?;
        let share = x.broadcast_mul(&v)?.sum_keepdim(1)?;
        let share = (share.broadcast_div(&v.sqr()?.sum_keepdim(1)?)? * 2.0)?;
        x - share.broadcast_mul(&v)?
    }

    fn count(&self) -> Result<usize> {
        self.vectors.dim(0)
    }
}

impl Bijection for Householder {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let batch = shape::vectors("householder", x, self.vectors.dim(1)?)?;
        let y = (0..self.count()?).try_fold(x.clone(), |x, index| self.reflect(&x, index))?;
        Ok((y, Tensor::zeros(batch, x.dtype(), x.device())?))
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        shape::vectors("householder", y, self.vectors.dim(1)?)?;
        (0..self.count()?)
            .rev()
            .try_fold(y.clone(), |y, index| self.reflect(&y, index))
    }
}
