//! Activation normalisation: one scale and one shift per channel.

use crate::inspect::constant;
use crate::ops::column_affine::column_affine;
use crate::params::{Init, ParamBuilder, assign};
use crate::{Bijection, Result, shape};
use candle_core::Tensor;

/// The largest scale that initialisation gives.
const MAX_INITIAL_SCALE: f64 = 1e3;

/// The least variance of a channel, as a share of the mean over channels.
const MIN_VARIANCE: f64 = 1e-4;

/// Per-channel affine map of images `[B, C, H, W]` or vectors `[B, C]`, initialised from data.
///
/// ```text
/// y       = exp(log_scale) ⊙ (x + shift)         log_scale, shift: [1, C, 1, 1]
/// log_det = H·W · Σ_c log_scale_c                                  (vectors: H·W = 1)
/// x       = exp(−log_scale) ⊙ y − shift
/// ```
///
/// `initialize` sets both so that the first batch leaves with mean 0 and variance 1 per channel.
/// The variance has a floor, because a nearly constant channel says little about the data and
/// scales multiply from layer to layer. A constant channel gets the mean scale of the others.
/// Kingma & Dhariwal 2018, section 3.1 (arXiv:1807.03039).
///
/// ```
/// use candle_core::{DType, Device};
/// use flow_core::{ActNorm, Bijection, params::ParamStore, random};
///
/// let params = ParamStore::new(0);
/// let actnorm = ActNorm::new(3, params.builder(DType::F32, &Device::Cpu))?;
/// let x = random::normal(1, (100, 3), DType::F32, &Device::Cpu)?.affine(5.0, 2.0)?;
/// let y = actnorm.initialize(&x)?;
/// assert!(y.mean_all()?.to_scalar::<f32>()?.abs() < 1e-5);
/// # candle_core::Result::Ok(())
/// ```
pub struct ActNorm {
    log_scale: Tensor,
    shift: Tensor,
}

impl ActNorm {
    /// Parameters `log_scale` and `shift`, both `[1, C, 1, 1]` and zero until `initialize`.
    pub fn new(channels: usize, params: ParamBuilder) -> Result<Self> {
        let shape = (1, channels, 1, 1);
        Ok(Self {
            log_scale: params.get_with_hints(shape, "log_scale", Init::Zeros)?,
            shift: params.get_with_hints(shape, "shift", Init::Zeros)?,
        })
    }

    /// ln of the scale of each channel, `[1, C, 1, 1]`.
    pub fn log_scale(&self) -> &Tensor {
        &self.log_scale
    }

    /// Shift of each channel, added before the scale, `[1, C, 1, 1]`.
    pub fn shift(&self) -> &Tensor {
        &self.shift
    }

    /// Sets scale and shift from the statistics of `x`, without applying them. If every channel is
    /// constant, as in a batch of one row, the scale stays 1.
    fn fit(&self, x: &Tensor) -> Result<()> {
        let x = self.pixels(&x.detach())?;
        let mean = x.mean_keepdim((0, 2, 3))?;
        let variance = x.broadcast_sub(&mean)?.sqr()?.mean_keepdim((0, 2, 3))?;
        let constant = constant(&x.transpose(0, 1)?.flatten_from(1)?)?;
        let constant = constant.reshape(mean.shape())?.to_dtype(x.dtype())?;
        let log_scale = floored(&variance, &constant)?.log()?.affine(-0.5, 0.0)?;
        assign(&self.log_scale, &log_scale)?;
        assign(&self.shift, &mean.neg()?)
    }

    /// `x` as images: vectors `[B, C]` are images of one pixel.
    fn pixels(&self, x: &Tensor) -> Result<Tensor> {
        let channels = self.shift.dim(1)?;
        match *x.dims() {
            [b, c] if c == channels => x.reshape((b, c, 1, 1)),
            [_, c, _, _] if c == channels => Ok(x.clone()),
            _ => {
                let needed = format!("[B, {channels}] or [B, {channels}, H, W]");
                shape::refuse("actnorm", x, &needed)
            }
        }
    }
}

/// `variance` with its floor, and the mean of the others where `constant` is 1; 1 if all are
/// constant.
fn floored(variance: &Tensor, constant: &Tensor) -> Result<Tensor> {
    let varying = constant.affine(-1.0, 1.0)?;
    let none = varying.max_keepdim(1)?.affine(-1.0, 1.0)?;
    let count = (varying.sum_keepdim(1)? + &none)?;
    let mean = ((variance * &varying)?.sum_keepdim(1)? + none)?.div(&count)?;
    let floor = (&mean * MIN_VARIANCE)?.maximum(MAX_INITIAL_SCALE.powi(-2))?;
    (variance.broadcast_maximum(&floor)? * varying)? + constant.broadcast_mul(&mean)?
}

impl Bijection for ActNorm {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let image = self.pixels(x)?;
        let (b, c, h, w) = image.dims4()?;
        let scale = self.log_scale.exp()?;
        let y = if x.rank() == 2 {
            column_affine(x, &self.shift.reshape(c)?, &scale.reshape(c)?)?
        } else {
            x.broadcast_add(&self.shift)?.broadcast_mul(&scale)?
        };
        let log_det = (self.log_scale.sum_all()? * (h * w) as f64)?.broadcast_as(b)?;
        Ok((y, log_det))
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        self.pixels(y)?
            .broadcast_mul(&self.log_scale.neg()?.exp()?)?
            .broadcast_sub(&self.shift)?
            .reshape(y.shape())
    }

    fn initialize(&self, x: &Tensor) -> Result<Tensor> {
        self.fit(x)?;
        Ok(self.forward(x)?.0.detach())
    }
}
