//! Parameterisations of the matrix of a 1×1 convolution.

use crate::ops::lower_upper::{Triangles, lower_upper};
use crate::params::{Init, ParamBuilder};
use crate::{Result, linalg, transfer};
use candle_core::{Tensor, bail};

/// Parameterisation of a 1×1 convolution. All represent the same functions; they differ in training
/// and in cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MatrixForm {
    /// W = Q·L·U.
    #[default]
    RotationLowerUpper,
    /// W = L·U·Q, with a bias: nflows'.
    LowerUpperRotation,
    /// W itself. Its determinant is computed on the host, in O(C³).
    Plain,
}

/// Largest distance of Q·Qᵀ from the identity, in any precision.
const ROTATION_TOLERANCE: f64 = 1e-3;

/// The parameters of a matrix, all `[C, C]`, except `log_scale`, `[C]`.
pub(super) enum Matrix {
    Factors(Factors),
    Plain(Tensor),
}

pub(super) struct Factors {
    pub(super) rotation: Tensor,
    pub(super) lower: Tensor,
    pub(super) upper: Tensor,
    pub(super) log_scale: Tensor,
    pub(super) triangles: Triangles,
    /// True if Q is applied last: W = Q·L·U.
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
            triangles: Triangles::new(channels, params.dtype(), params.device())?,
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
                    triangles,
                    rotates_last,
                } = factors;
                let product = lower_upper(lower, upper, log_scale, triangles)?;
                if *rotates_last {
                    rotation.matmul(&product)
                } else {
                    product.matmul(rotation)
                }
            }
        }
    }

    /// W⁻¹, `[C, C]`, computed on the host in f64.
    pub(super) fn inverse(&self) -> Result<Tensor> {
        let weight = self.weight()?.detach();
        let inverse = linalg::inverse(&transfer::rows(&weight)?)?.concat();
        transfer::upload(inverse, weight.shape(), weight.dtype(), weight.device())
    }

    /// ln|det W|, a scalar.
    pub(super) fn log_abs_det(&self) -> Result<Tensor> {
        let weight = match self {
            Self::Factors(factors) => return factors.log_scale.sum_all(),
            Self::Plain(weight) => weight,
        };
        let value = linalg::log_abs_det(&transfer::rows(weight)?)?;
        let value = transfer::upload(vec![value], (), weight.dtype(), weight.device())?;
        if !weight.track_op() {
            return Ok(value);
        }
        // A zero whose gradient is that of ln|det W|, which is W⁻ᵀ.
        let slope = (weight * self.inverse()?.t()?)?.sum_all()?;
        (&slope - slope.detach())? + value
    }
}

/// The log-determinant assumes an orthogonal Q, but a file may hold any matrix.
fn check_rotation(rotation: &Tensor, params: &ParamBuilder) -> Result<()> {
    let square = transfer::rows(&rotation.matmul(&rotation.t()?)?)?;
    let off = |(i, row): (usize, Vec<f64>)| {
        row.into_iter()
            .enumerate()
            .map(move |(j, value)| (value - f64::from(u8::from(i == j))).abs())
    };
    let errors = square.into_iter().enumerate().flat_map(off);
    if let Some(error) = errors
        .into_iter()
        .find(|error| error.is_nan() || *error > ROTATION_TOLERANCE)
    {
        bail!(
            "parameter `{}.rotation` is not a rotation: off by {error:e}",
            params.prefix()
        );
    }
    Ok(())
}
