//! A linear map of vectors by triangular factors.

use crate::ops::channel_map::{Triangles, composed};
use crate::params::{Init, ParamBuilder};
use crate::{Bijection, Result, linalg, shape, transfer};
use candle_core::Tensor;

/// A learned invertible linear map of vectors `[B, D]`, with a bias.
///
/// ```text
/// y       = W·x + bias,  W = L·U       L: unit lower triangular, [D, D]
/// log_det = Σ log_scale                U: upper triangular, exp(log_scale) on its diagonal
/// ```
///
/// Starts as the identity. Oliva et al. 2018 (arXiv:1801.09819); Durkan et al. 2019, section 4
/// (arXiv:1906.04032). As in the latter, a [`Permutation`](crate::Permutation) before it improves
/// mixing between couplings; the rotation of [`InvertibleConv1x1`](crate::InvertibleConv1x1) is an
/// alternative.
///
/// ```
/// use candle_core::{DType, Device};
/// use flow_core::{LuLinear, check, params::ParamStore, random};
///
/// let params = ParamStore::new(0);
/// let linear = LuLinear::new(4, params.builder(DType::F64, &Device::Cpu))?;
/// let x = random::normal(1, (2, 4), DType::F64, &Device::Cpu)?;
/// check::round_trip(&linear, &x, 1e-12)?;
/// # candle_core::Result::Ok(())
/// ```
pub struct LuLinear {
    lower: Tensor,
    upper: Tensor,
    log_scale: Tensor,
    bias: Tensor,
    triangles: Triangles,
}

impl LuLinear {
    /// Parameters `lower` and `upper`, `[D, D]`, whose strict triangles are used, `log_scale` and
    /// `bias`, `[D]`.
    pub fn new(features: usize, params: ParamBuilder) -> Result<Self> {
        let square = (features, features);
        Ok(Self {
            lower: params.get_with_hints(square, "lower", Init::Zeros)?,
            upper: params.get_with_hints(square, "upper", Init::Zeros)?,
            log_scale: params.get_with_hints(features, "log_scale", Init::Zeros)?,
            bias: params.get_with_hints(features, "bias", Init::Zeros)?,
            triangles: Triangles::new(features, params.dtype(), params.device())?,
        })
    }

    /// W, `[D, D]`, output first.
    pub fn weight(&self) -> Result<Tensor> {
        composed::lower_upper(&self.lower, &self.upper, &self.log_scale, &self.triangles)
    }
}

impl Bijection for LuLinear {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let batch = shape::vectors("lu linear", x, self.bias.dim(0)?)?;
        let y = x.matmul(&self.weight()?.t()?)?.broadcast_add(&self.bias)?;
        Ok((y, self.log_scale.sum_all()?.broadcast_as(batch)?))
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        shape::vectors("lu linear", y, self.bias.dim(0)?)?;
        let weight = self.weight()?;
        let inverse = linalg::inverse(&transfer::rows(&weight.detach())?)?.concat();
        let inverse = transfer::upload(inverse, weight.shape(), y.dtype(), y.device())?.t()?;
        let y = y.broadcast_sub(&self.bias)?;
        let x = y.detach().matmul(&inverse)?;
        // One step of refinement with a constant W⁻¹: exact to rounding, and it carries the
        // gradient.
        let rest = (y - x.matmul(&weight.t()?)?)?;
        x + rest.matmul(&inverse)?
    }
}
