//! Invertible 1×1 convolution: one matrix mixes the channels of every pixel.

mod matrix;

pub use matrix::MatrixForm;

use crate::ops::channel_map::{self, AffineMap, channel_map};
use crate::params::{Init, ParamBuilder};
use crate::runs::Rows;
use crate::{ActNorm, Bijection, Gradients, Result, shape};
use candle_core::{Error, Tensor};
use matrix::Matrix;

/// Channel mixing of `[B, C, H, W]` by an invertible matrix.
///
/// ```text
/// y       = W·x,  W = Q·L·U                       W: [C, C]
/// log_det = H·W · Σ_c log_scale_c
/// ```
///
/// Q is a fixed random rotation, L unit lower triangular, U upper triangular with the diagonal
/// exp(log_scale). L and U start at the identity, so W starts at the rotation. Kingma & Dhariwal
/// 2018, section 3.2 (arXiv:1807.03039). Unlike the paper, Q replaces the fixed permutation and the
/// signs of the diagonal. No factorisation is needed to start, and any P·L·(U + diag(s)) becomes
/// this form exactly by moving the signs into Q. Other programs' forms are in [`MatrixForm`].
///
/// ```
/// use candle_core::{DType, Device};
/// use flow_core::{Bijection, InvertibleConv1x1, params::ParamStore, random};
///
/// let params = ParamStore::new(0);
/// let conv = InvertibleConv1x1::new(4, params.builder(DType::F32, &Device::Cpu))?;
/// let x = random::normal(1, (2, 4, 3, 3), DType::F32, &Device::Cpu)?;
/// let (y, log_det) = conv.forward(&x)?;
/// assert_eq!((y.dims(), log_det.dims()), (x.dims(), &[2][..]));
/// # candle_core::Result::Ok(())
/// ```
pub struct InvertibleConv1x1 {
    channels: usize,
    matrix: Matrix,
    /// Bias of every pixel, `[C]`.
    bias: Option<Tensor>,
    /// Prefix of its parameters.
    name: String,
}

impl InvertibleConv1x1 {
    /// The LU form, W = Q·L·U. Parameters `rotation` (fixed), `lower`, `upper`, all `[C, C]`, and
    /// `log_scale`, `[C]`. Only the strict triangles of `lower` and `upper` are used.
    pub fn new(channels: usize, params: ParamBuilder) -> Result<Self> {
        Self::with_form(channels, MatrixForm::default(), params)
    }

    /// A convolution of any form. Parameters as in [`new`](Self::new); with the rotation first also
    /// `bias`, `[C]`; for a plain matrix `weight`, `[C, C]`.
    pub fn with_form(channels: usize, form: MatrixForm, params: ParamBuilder) -> Result<Self> {
        let bias = (form == MatrixForm::LowerUpperRotation)
            .then(|| params.get_with_hints(channels, "bias", Init::Zeros));
        Ok(Self {
            channels,
            matrix: Matrix::new(channels, form, &params)?,
            bias: bias.transpose()?,
            name: params.prefix(),
        })
    }

    /// W, `[C, C]`, output channel first.
    pub fn weight(&self) -> Result<Tensor> {
        self.matrix.weight()
    }

    /// `actnorm` and, after it, this convolution as one affine map of the channels.
    pub fn after(&self, actnorm: &ActNorm) -> Result<AffineMap> {
        let (log_scale, shift) = (actnorm.log_scale(), actnorm.shift());
        if let Matrix::Factors(factors) = &self.matrix
            && factors.rotates_last
        {
            return channel_map(channel_map::Factors {
                rotation: &factors.rotation,
                lower: &factors.lower,
                upper: &factors.upper,
                log_scale: &factors.log_scale,
                actnorm_log_scale: log_scale,
                actnorm_shift: shift,
                triangles: &factors.triangles,
            });
        }
        self.map()?.after(log_scale, shift)
    }

    /// This convolution as an affine map of the channels.
    pub fn map(&self) -> Result<AffineMap> {
        let weight = self.weight()?;
        let bias = match &self.bias {
            Some(bias) => bias.clone(),
            None => Tensor::zeros(weight.dim(0)?, weight.dtype(), weight.device())?,
        };
        Ok(AffineMap {
            bias,
            log_det: self.matrix.log_abs_det()?,
            weight,
        })
    }

    fn check(&self, x: &Tensor) -> Result<()> {
        shape::images("conv1x1", x, self.channels).map(|_| ())
    }

    /// The inverse of this convolution, computed on the host in f64, without a graph.
    ///
    /// # Errors
    /// If its matrix is singular; the error names its parameters.
    pub fn inverse_map(&self) -> Result<AffineMap> {
        self.inverse_of(&self.map()?)
    }

    fn inverse_of(&self, map: &AffineMap) -> Result<AffineMap> {
        map.inverted().map_err(|_| {
            let name = &self.name;
            Error::msg(format!(
                "the matrix of `{name}` is singular and has no inverse"
            ))
        })
    }
}

impl Bijection for InvertibleConv1x1 {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        self.check(x)?;
        self.map()?.forward(x)
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        self.check(y)?;
        self.inverse_map()?.apply(y)
    }

    fn frozen(&self, _: &Rows) -> Result<Box<dyn Bijection + '_>> {
        Ok(self.map()?.frozen(|map| self.inverse_of(map)))
    }

    fn backward(
        &self,
        y: &Tensor,
        grad_y: &Tensor,
        grad_log_det: &Tensor,
        grads: &mut Gradients,
    ) -> Result<(Tensor, Tensor)> {
        self.check(y)?;
        self.map()?.backward(y, grad_y, grad_log_det, grads)
    }
}
