//! The matrix of a 1×1 convolution, by what it is made of.

use crate::ops::channel_map::composed;
use crate::params::{Init, ParamBuilder};
use crate::{Result, linalg};
use candle_core::{DType, Device, Tensor, bail};

/// What a 1×1 convolution is made of. Which functions it can be does not depend on it, but how it learns and
/// what it costs does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MatrixForm {
    /// W = Q·L·U.
    #[default]
    RotationLowerUpper,
    /// W = L·U·Q, and a bias is added: nflows'.
    LowerUpperRotation,
    /// W itself. Its determinant is computed on the host, in O(C³).
    Plain,
}

/// How far Q·Qᵀ may be from the identity, in any precision.
const ROTATION_TOLERANCE: f64 = 1e-3;

/// The parameters of a matrix, all `[C, C]` but `log_scale`, `[C]`.
pub(super) enum Matrix {
    Factors(Factors),
    Plain(Tensor),
}

pub(super) struct Factors {
    pub(super) rotation: Tensor,
    pub(super) lower: Tensor,
    pub(super) upper: Tensor,
    pub(super) log_scale: Tensor,
    /// Whether the rotation comes after L and U, to the data: W = Q·L·U.
    pub(super) rotates_last: bool,
}

impl Matrix {
    pub(super) fn new(channels: usize, form: MatrixForm, params: &ParamBuilder) -> Result<Self> {
        let square = (channels, channels);
        if form == MatrixForm::Plain {
            let weight = params.get_with_hints(square, "weight", Init::Rotation)?;
            return Ok(Self::Plain(weight));
        }
        let rotation = params
            .get_with_hints(square, "rotation", Init::Rotation)?
            .detach();
        check_rotation(&rotation, params)?;
        Ok(Self::Factors(Factors {
            rotation,
            lower: params.get_with_hints(square, "lower", Init::Zeros)?,
            upper: params.get_with_hints(square, "upper", Init::Zeros)?,
            log_scale: params.get_with_hints(channels, "log_scale", Init::Zeros)?,
            rotates_last: form == MatrixForm::RotationLowerUpper,
        }))
    }

    /// W, `[C, C]`.
    pub(super) fn weight(&self) -> Result<Tensor> {
        match self {
            Self::Plain(weight) => Ok(weight.clone()),
            Self::Factors(factors) => {
                let Factors {
                    rotation,
                    lower,
                    upper,
                    log_scale,
                    rotates_last,
                } = factors;
                if *rotates_last {
                    composed::weight(rotation, lower, upper, log_scale)
                } else {
                    let identity = identity_like(rotation)?;
                    composed::weight(&identity, lower, upper, log_scale)?.matmul(rotation)
                }
            }
        }
    }

    /// W⁻¹, `[C, C]`, computed on the host in f64.
    pub(super) fn inverse(&self) -> Result<Tensor> {
        let weight = self.weight()?.detach();
        Tensor::new(linalg::inverse(&on_host(&weight)?)?, &Device::Cpu)?
            .to_dtype(weight.dtype())?
            .to_device(weight.device())
    }

    /// ln|det W|, a scalar.
    pub(super) fn log_abs_det(&self) -> Result<Tensor> {
        let weight = match self {
            Self::Factors(factors) => return factors.log_scale.sum_all(),
            Self::Plain(weight) => weight,
        };
        let value = linalg::log_abs_det(&on_host(weight)?)?;
        let value = Tensor::new(value, &Device::Cpu)?
            .to_dtype(weight.dtype())?
            .to_device(weight.device())?;
        if !weight.track_op() {
            return Ok(value);
        }
        // What is zero and has the gradient of ln|det W|, which is W⁻ᵀ.
        let slope = (weight * self.inverse()?.t()?)?.sum_all()?;
        (&slope - slope.detach())? + value
    }
}

fn on_host(weight: &Tensor) -> Result<Vec<Vec<f64>>> {
    weight
        .to_dtype(DType::F64)?
        .to_device(&Device::Cpu)?
        .to_vec2()
}

/// The log-determinant counts on it, and a file may hold anything.
fn check_rotation(rotation: &Tensor, params: &ParamBuilder) -> Result<()> {
    let error = (rotation.matmul(&rotation.t()?)? - identity_like(rotation)?)?
        .abs()?
        .max_all()?;
    let error = error.to_dtype(DType::F64)?.to_scalar::<f64>()?;
    if error.is_nan() || error > ROTATION_TOLERANCE {
        bail!(
            "parameter `{}.rotation` is not a rotation: off by {error:e}",
            params.prefix()
        );
    }
    Ok(())
}

/// The identity of the size of `matrix`.
fn identity_like(matrix: &Tensor) -> Result<Tensor> {
    Tensor::eye(matrix.dim(0)?, matrix.dtype(), matrix.device())
}
