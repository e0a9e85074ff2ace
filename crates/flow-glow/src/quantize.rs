//! From pixels to what a flow sees, and back.
//!
//! A density on continuous values says nothing about discrete pixels until noise fills the gaps
//! between them (uniform dequantisation; Theis, van den Oord & Bethge 2016, arXiv:1511.01844):
//!
//! ```text
//! v = ⌊pixel / 2^(8−bits)⌋,  p = (v + u) / 2^bits,  u ~ U[0, 1)
//! x = p − ½   or   x = logit(α + (1 − 2α)·p)
//! ln P(image) ≥ ln p(x) + Σ ln|dx/dp| − C·H·W · ln 2^bits
//! ```
//!
//! The last two terms are counted here and nowhere else.

use crate::config::{GlowConfig, Preprocessing};
use candle_core::{DType, Result, Tensor};
use flow_core::random;
use std::f64::consts::LN_2;

/// Pixels `[B, C, H, W]` in u8 → x of the same shape in `dtype`, and by how many nats the
/// log-likelihood of the image differs from ln p(x), `[B]`. `seed` draws the noise.
pub fn dequantize(
    config: &GlowConfig,
    images: &Tensor,
    dtype: DType,
    seed: u64,
) -> Result<(Tensor, Tensor)> {
    let levels = f64::from(1_u32 << config.bits);
    let pixels = images.to_dtype(dtype)?;
    let values = if config.bits == 8 {
        pixels
    } else {
        (pixels * (levels / 256.0))?.floor()?
    };
    let noise = random::uniform(seed, images.shape(), dtype, images.device())?;
    let p = ((values + noise)? / levels)?;

    let counts = -(config.image.dimensions() as f64) * f64::from(config.bits) * LN_2;
    let counts = Tensor::full(counts, images.dim(0)?, images.device())?.to_dtype(dtype)?;
    match config.preprocessing {
        Preprocessing::Centered => Ok(((p - 0.5)?, counts)),
        Preprocessing::Logit { alpha } => {
            let p = p.affine(1.0 - 2.0 * alpha, alpha)?;
            let (ln_p, ln_q) = (p.log()?, p.affine(-1.0, 1.0)?.log()?);
            let slopes = (&ln_p + &ln_q)?.affine(-1.0, (1.0 - 2.0 * alpha).ln())?;
            Ok(((ln_p - ln_q)?, (counts + slopes.flatten_from(1)?.sum(1)?)?))
        }
    }
}

/// x `[B, C, H, W]` → pixels in u8: the nearest that the model can mean, stretched to 0..=255.
pub fn quantize(config: &GlowConfig, x: &Tensor) -> Result<Tensor> {
    let levels = f64::from(1_u32 << config.bits);
    let p = match config.preprocessing {
        Preprocessing::Centered => (x + 0.5)?,
        Preprocessing::Logit { alpha } => {
            let sigmoid = (x.neg()?.exp()? + 1.0)?.recip()?;
            ((sigmoid - alpha)? / (1.0 - 2.0 * alpha))?
        }
    };
    let values = (p * levels)?.floor()?.clamp(0.0, levels - 1.0)?;
    (values * (255.0 / (levels - 1.0)))?
        .round()?
        .to_dtype(DType::U8)
}

/// Log-likelihoods in nats → bits per dimension.
pub fn bits_per_dim(config: &GlowConfig, log_likelihood: &Tensor) -> Result<Tensor> {
    log_likelihood * (-1.0 / (LN_2 * config.image.dimensions() as f64))
}
