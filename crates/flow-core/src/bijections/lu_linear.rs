//! A linear map of vectors by triangular factors.

use crate::bijection::Detached;
use crate::ops::linear::{Activation, linear};
use crate::ops::lower_upper::{Triangles, lower_upper};
use crate::params::{Init, ParamBuilder};
use crate::runs::Rows;
use crate::{Bijection, Result, linalg, shape, transfer};
use candle_core::Tensor;
use std::sync::OnceLock;

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
        lower_upper(&self.lower, &self.upper, &self.log_scale, &self.triangles)
    }

    /// The map by its matrix.
    fn map(&self) -> Result<Map> {
        Ok(Map {
            weight: self.weight()?,
            bias: self.bias.clone(),
            log_det: self.log_scale.sum_all()?,
            inverse: OnceLock::new(),
        })
    }
}

impl Bijection for LuLinear {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        self.map()?.forward(x)
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        self.map()?.inverse(y)
    }

    fn inverse_with_log_det(&self, y: &Tensor) -> Result<(Tensor, Tensor)> {
        self.map()?.inverse_with_log_det(y)
    }

    fn frozen(&self, _rows: &Rows) -> Result<Box<dyn Bijection + '_>> {
        Ok(Box::new(Detached(self.map()?.detached())))
    }
}

/// The map x ↦ W·x + bias by its matrix, `[D, D]`.
struct Map {
    weight: Tensor,
    bias: Tensor,
    log_det: Tensor,
    /// W⁻¹, once it is asked for.
    inverse: OnceLock<Tensor>,
}

impl Map {
    fn detached(&self) -> Self {
        Self {
            weight: self.weight.detach(),
            bias: self.bias.detach(),
            log_det: self.log_det.detach(),
            inverse: OnceLock::new(),
        }
    }

    /// W⁻¹, computed on the host in f64, without a graph.
    fn inverse_weight(&self) -> Result<&Tensor> {
        if let Some(inverse) = self.inverse.get() {
            return Ok(inverse);
        }
        let weight = self.weight.detach();
        let inverse = linalg::inverse(&transfer::rows(&weight)?)?.concat();
        let inverse = transfer::upload(inverse, weight.shape(), weight.dtype(), weight.device())?;
        Ok(self.inverse.get_or_init(|| inverse))
    }
}

impl Bijection for Map {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let batch = shape::vectors("lu linear", x, self.bias.dim(0)?)?;
        let y = linear(x, &self.weight, &self.bias, Activation::Identity)?;
        Ok((y, self.log_det.broadcast_as(batch)?))
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        shape::vectors("lu linear", y, self.bias.dim(0)?)?;
        let (inverse, zeros) = (self.inverse_weight()?, self.bias.zeros_like()?);
        let solved = |y: &Tensor| linear(y, inverse, &zeros, Activation::Identity);
        let x = solved(&y.broadcast_sub(&self.bias)?.detach())?;
        // One step of refinement with a constant W⁻¹: exact to rounding, and it carries the
        // gradient.
        let rest = (y - self.forward(&x)?.0)?;
        x + solved(&rest)?
    }

    fn inverse_with_log_det(&self, y: &Tensor) -> Result<(Tensor, Tensor)> {
        let x = self.inverse(y)?;
        let log_det = self.log_det.neg()?.broadcast_as(x.dim(0)?)?;
        Ok((x, log_det))
    }
}
