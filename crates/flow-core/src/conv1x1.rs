//! Invertible 1×1 convolution: one matrix mixes the channels of every pixel.
//!
//! ```text
//! y       = W·x,  W = Q·L·U                       W: [C, C]
//! log_det = H·W · Σ_c log_scale_c
//! ```
//!
//! Q is a fixed random rotation, L unit lower triangular, U upper triangular with the diagonal
//! exp(log_scale). L and U start at the identity, so W starts at the rotation.
//! Kingma & Dhariwal 2018, section 3.2 (arXiv:1807.03039). Unlike the paper, Q replaces the fixed
//! permutation and the signs of the diagonal: no factorisation is needed to start, and any
//! P·L·(U + diag(s)) maps to this form exactly by moving the signs into Q.

use crate::params::{Init, ParamBuilder};
use crate::{Bijection, Result, linalg, ops};
use candle_core::{DType, Device, Tensor, bail};

/// How far Q·Qᵀ may be from the identity, in any precision.
const ROTATION_TOLERANCE: f64 = 1e-3;

/// Channel mixing of `[B, C, H, W]` by an invertible matrix in LU form.
pub struct InvertibleConv1x1 {
    rotation: Tensor,
    lower: Tensor,
    upper: Tensor,
    log_scale: Tensor,
    strictly_lower: Tensor,
    identity: Tensor,
}

impl InvertibleConv1x1 {
    /// Parameters `rotation` (fixed), `lower`, `upper`, all `[C, C]`, and `log_scale`, `[C]`. Only the
    /// strict triangles of `lower` and `upper` count.
    pub fn new(channels: usize, params: ParamBuilder) -> Result<Self> {
        let square = (channels, channels);
        let identity = Tensor::eye(channels, params.dtype(), params.device())?;
        let rotation = params
            .get_with_hints(square, "rotation", Init::Rotation)?
            .detach();
        let error = (rotation.matmul(&rotation.t()?)? - &identity)?
            .abs()?
            .max_all()?;
        let error = error.to_dtype(DType::F64)?.to_scalar::<f64>()?;
        // The log-determinant counts on it, and a file may hold anything.
        if error.is_nan() || error > ROTATION_TOLERANCE {
            bail!(
                "parameter `{}.rotation` is not a rotation: off by {error:e}",
                params.prefix()
            );
        }
        let triangle = Tensor::tril2(channels, params.dtype(), params.device())?;
        Ok(Self {
            rotation,
            lower: params.get_with_hints(square, "lower", Init::Zeros)?,
            upper: params.get_with_hints(square, "upper", Init::Zeros)?,
            log_scale: params.get_with_hints(channels, "log_scale", Init::Zeros)?,
            strictly_lower: (triangle - &identity)?,
            identity,
        })
    }

    /// W = Q·L·U, `[C, C]`, output channel first.
    pub fn weight(&self) -> Result<Tensor> {
        let lower = ((&self.lower * &self.strictly_lower)? + &self.identity)?;
        let upper = ((&self.upper * self.strictly_lower.t()?)?
            + self.identity.broadcast_mul(&self.log_scale.exp()?)?)?;
        self.rotation.matmul(&lower.matmul(&upper)?)
    }

    /// W⁻¹, `[C, C]`, computed on the host in f64.
    pub fn inverse_weight(&self) -> Result<Tensor> {
        let weight = self.weight()?.detach();
        let rows = weight
            .to_dtype(DType::F64)?
            .to_device(&Device::Cpu)?
            .to_vec2()?;
        let inverse = linalg::inverse(&rows)?;
        Tensor::new(inverse, &Device::Cpu)?
            .to_dtype(weight.dtype())?
            .to_device(weight.device())
    }

    fn no_bias(&self) -> Result<Tensor> {
        self.log_scale.zeros_like()
    }

    /// ln|det W|, a scalar.
    pub fn log_abs_det(&self) -> Result<Tensor> {
        self.log_scale.sum_all()
    }
}

impl Bijection for InvertibleConv1x1 {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let (b, _, h, w) = x.dims4()?;
        let y = ops::channel_mix::channel_mix(x, &self.weight()?, &self.no_bias()?)?;
        let log_det = (self.log_abs_det()? * (h * w) as f64)?.broadcast_as(b)?;
        Ok((y, log_det))
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        ops::channel_mix::channel_mix(y, &self.inverse_weight()?, &self.no_bias()?)
    }
}
