//! A learned scale and shift of every number.

use crate::params::{Init, ParamBuilder};
use crate::{Bijection, Result, shape};
use candle_core::{Shape, Tensor};

/// An affine map with its own parameters for each number; starts as the identity.
///
/// ```text
/// y       = x ⊙ exp(log_scale) + shift            log_scale, shift: [1, …], the shape of a sample
/// log_det = Σ log_scale
/// x       = (y − shift) ⊙ exp(−log_scale)
/// ```
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use flow_core::{Bijection, ElementwiseAffine, params::ParamStore};
///
/// let params = ParamStore::new(0);
/// let affine = ElementwiseAffine::new(3, params.builder(DType::F64, &Device::Cpu))?;
/// let x = Tensor::new(&[[1.0, 2.0, 3.0]], &Device::Cpu)?;
/// assert_eq!(affine.inverse(&x)?.to_vec2::<f64>()?, [[1.0, 2.0, 3.0]]);
/// # candle_core::Result::Ok(())
/// ```
pub struct ElementwiseAffine {
    log_scale: Tensor,
    shift: Tensor,
}

impl ElementwiseAffine {
    /// For samples of the given `shape`, without the batch. Parameters `log_scale` and `shift`,
    /// `[1, …]`.
    pub fn new(shape: impl Into<Shape>, params: ParamBuilder) -> Result<Self> {
        let shape = [&[1], shape.into().dims()].concat();
        Ok(Self {
            log_scale: params.get_with_hints(shape.as_slice(), "log_scale", Init::Zeros)?,
            shift: params.get_with_hints(shape.as_slice(), "shift", Init::Zeros)?,
        })
    }

    fn check(&self, x: &Tensor) -> Result<usize> {
        shape::samples("elementwise affine", x, &self.shift.dims()[1..])
    }
}

impl Bijection for ElementwiseAffine {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let batch = self.check(x)?;
        let y = x
            .broadcast_mul(&self.log_scale.exp()?)?
            .broadcast_add(&self.shift)?;
        Ok((y, self.log_scale.sum_all()?.broadcast_as(batch)?))
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        self.check(y)?;
        y.broadcast_sub(&self.shift)?
            .broadcast_mul(&self.log_scale.neg()?.exp()?)
    }
}
