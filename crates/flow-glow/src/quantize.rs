//! Maps from pixels to the input of a flow, and back.
//!
//! A density on continuous values says nothing about discrete pixels until noise fills the gaps
//! between them (uniform dequantisation; Theis, van den Oord & Bethge 2016, arXiv:1511.01844):
//!
//! ```text
//! v = ⌊pixel / 2^(8−bits)⌋,  p = (v + u) / 2^bits,  u ~ U[0, 1)
//! x = p − ½   or   x = p   or   x = logit(α + (1 − 2α)·p)   or as `equalization` has it
//! ln P(image) ≥ ln p(x) + Σ ln|dx/dp| − C·H·W · ln 2^bits
//! ```
//!
//! With learned noise u ~ q(u | image), and the bound loses ln q(u | image), which `dequantizer`
//! computes. The last two terms above are computed here and nowhere else. The mean of the
//! likelihoods over several u gives a tighter bound: see [`importance_weighted`].

use crate::config::{GlowConfig, Preprocessing};
use crate::{Error, equalization};
use candle_core::{DType, Result, Tensor};
use flow_core::{finite_rows, transfer};
use std::f64::consts::LN_2;

/// Pixels `[B, C, H, W]` in u8 and u of that shape → x, and the last two terms of the bound, `[B]`.
pub(crate) fn dequantize(
    config: &GlowConfig,
    images: &Tensor,
    noise: &Tensor,
) -> Result<(Tensor, Tensor)> {
    fill(config, &values(config, images, noise.dtype())?, noise)
}

/// Pixels `[B, C, H, W]` in u8 → x of the same shape in `dtype`, with u = ½. This x lies in the
/// middle of all that [`quantize`] turns into these pixels, as far from other images as possible.
pub fn center(config: &GlowConfig, images: &Tensor, dtype: DType) -> Result<Tensor> {
    let values = values(config, images, dtype)?;
    let half = values.zeros_like()?.affine(1.0, 0.5)?;
    Ok(fill(config, &values, &half)?.0)
}

/// v of every pixel.
fn values(config: &GlowConfig, images: &Tensor, dtype: DType) -> Result<Tensor> {
    let pixels = images.to_dtype(dtype)?;
    if config.bits == 8 {
        return Ok(pixels);
    }
    let levels = f64::from(1_u32 << config.bits);
    (pixels * (levels / 256.0))?.floor()
}

/// x of v + u, and the two last terms of the bound.
fn fill(config: &GlowConfig, values: &Tensor, noise: &Tensor) -> Result<(Tensor, Tensor)> {
    let p = ((values + noise)? / f64::from(1_u32 << config.bits))?;
    let counts = -(config.image.dimensions() as f64) * f64::from(config.bits) * LN_2;
    let counts = (Tensor::ones(p.dim(0)?, p.dtype(), p.device())? * counts)?;
    let (x, slopes) = match &config.preprocessing {
        Preprocessing::Centered => return Ok(((p - 0.5)?, counts)),
        Preprocessing::Unit => return Ok((p, counts)),
        Preprocessing::Logit { alpha } => {
            // Each tail is computed from its own end, where its digits are.
            let ln = |tail: Tensor| tail.affine(1.0 - 2.0 * alpha, *alpha)?.log();
            let (ln_q, ln_p) = (ln(p.affine(-1.0, 1.0)?)?, ln(p)?);
            let slopes = (&ln_p + &ln_q)?.affine(-1.0, (1.0 - 2.0 * alpha).ln())?;
            ((ln_p - ln_q)?, slopes)
        }
        Preprocessing::Equalized { shares } => equalization::forward(shares, values, noise)?,
    };
    Ok((x, (counts + slopes.flatten_from(1)?.sum(1)?)?))
}

/// x `[B, C, H, W]` → pixels in u8: the nearest that the model can represent, stretched to 0..=255.
///
/// # Errors
/// [`Error::NonFiniteImages`] if a number is NaN or infinite.
pub fn quantize(config: &GlowConfig, x: &Tensor) -> crate::Result<Tensor> {
    let rows = finite_rows(x)?;
    let (bad, all) = (rows.iter().filter(|&&row| !row).count(), rows.len());
    if bad > 0 {
        return Err(Error::NonFiniteImages { bad, all });
    }
    let levels = f64::from(1_u32 << config.bits);
    let values = match &config.preprocessing {
        Preprocessing::Centered => ((x + 0.5)? * levels)?.floor()?,
        Preprocessing::Unit => (x * levels)?.floor()?,
        Preprocessing::Logit { alpha } => {
            let sigmoid = (x.neg()?.exp()? + 1.0)?.recip()?;
            let p = ((sigmoid - *alpha)? / (1.0 - 2.0 * alpha))?;
            (p * levels)?.floor()?
        }
        Preprocessing::Equalized { shares } => equalization::inverse(shares, x)?,
    };
    let values = values.clamp(0.0, levels - 1.0)?;
    let pixels = (values * (255.0 / (levels - 1.0)))?.round()?;
    Ok(pixels.to_dtype(DType::U8)?)
}

/// A changed image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its index in the batch, from 0.
    pub image: usize,
    /// Number of changed values: pixels of every channel.
    pub pixels: usize,
    /// The largest difference, of 255.
    pub largest: u8,
}

/// The u8 images `[B, C, H, W]` in which `returned` differs from `images`, as far as the model
/// keeps their bits. At 8 bits it keeps all of them.
pub fn changes(
    config: &GlowConfig,
    images: &Tensor,
    returned: &Tensor,
) -> crate::Result<Vec<Change>> {
    let kept = quantize(config, &center(config, images, DType::F32)?)?;
    let pixels = |images: &Tensor| transfer::rows(&images.flatten_from(1)?);
    let pairs = pixels(&kept)?.into_iter().zip(pixels(returned)?);
    let change = |(image, (kept, returned)): (usize, (Vec<f64>, Vec<f64>))| {
        let differences = kept.iter().zip(&returned).map(|(a, b)| (a - b).abs());
        let pixels = differences.clone().filter(|&d| d > 0.0).count();
        (pixels > 0).then(|| Change {
            image,
            pixels,
            largest: differences.fold(0.0, f64::max) as u8,
        })
    };
    Ok(pairs.enumerate().filter_map(change).collect())
}

/// Bits per dimension of one image from K ≥ 1 draws of noise: −log₂((1/K) Σ 2^(−D·bₖ)) / D by
/// log-sum-exp, the bits of the mean likelihood.
///
/// More draws give a tighter bound in expectation (Burda, Grosse & Salakhutdinov 2016,
/// arXiv:1509.00519, theorem 1). One draw is returned unchanged, to the bit; a draw that is not
/// finite is the result.
pub fn importance_weighted(config: &GlowConfig, draws: &[f64]) -> f64 {
    if let Some(&bad) = draws.iter().find(|bits| !bits.is_finite()) {
        return bad;
    }
    let dimensions = config.image.dimensions() as f64;
    let best = draws.iter().copied().fold(f64::INFINITY, f64::min);
    let weights = draws.iter().map(|bits| ((best - bits) * dimensions).exp2());
    let mean = weights.sum::<f64>() / draws.len() as f64;
    best - mean.log2() / dimensions
}

/// Log-likelihoods in nats → bits per dimension.
pub fn bits_per_dim(config: &GlowConfig, log_likelihood: &Tensor) -> Result<Tensor> {
    log_likelihood * (-1.0 / (LN_2 * config.image.dimensions() as f64))
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // These results are exact.
mod tests {
    use super::*;
    use crate::config::ImageShape;

    /// As many digits at white as at black, down to the least α.
    #[test]
    fn the_logit_is_as_near_as_single_precision_can_be() {
        for alpha in [1e-6, 0.01] {
            let config = GlowConfig {
                preprocessing: Preprocessing::Logit { alpha },
                ..GlowConfig::small(ImageShape::new(1, 16, 16))
            };
            let images = Tensor::arange(0_u8, 255, &candle_core::Device::Cpu).unwrap();
            let images = Tensor::cat(
                &[
                    images,
                    Tensor::new(&[255_u8], &candle_core::Device::Cpu).unwrap(),
                ],
                0,
            );
            let images = images.unwrap().reshape((1, 1, 16, 16)).unwrap();
            for noise in [0.0, 0.25, 0.875] {
                let found = |dtype| {
                    let noise = Tensor::full(noise, images.shape(), images.device()).unwrap();
                    let noise = noise.to_dtype(dtype).unwrap();
                    let (x, log_det) = dequantize(&config, &images, &noise).unwrap();
                    let x = x.to_dtype(DType::F64).unwrap().flatten_all().unwrap();
                    (
                        x.to_vec1::<f64>().unwrap(),
                        log_det
                            .to_dtype(DType::F64)
                            .unwrap()
                            .to_vec1::<f64>()
                            .unwrap()[0],
                    )
                };
                let ((single, log_det), (exact, exact_log_det)) =
                    (found(DType::F32), found(DType::F64));
                for (x, exact) in single.iter().zip(&exact) {
                    let bound = 2.0 * f64::from(f32::EPSILON) * (1.0 + exact.abs());
                    assert!((x - exact).abs() < bound, "{alpha} {noise}: {x} {exact}");
                }
                assert!(
                    (log_det / exact_log_det - 1.0).abs() < 1e-6,
                    "{log_det} {exact_log_det}"
                );
            }
        }
    }

    #[test]
    fn likelihoods_that_do_not_fit_a_number_are_averaged() {
        let config = GlowConfig::small(ImageShape::new(1, 32, 32));
        let mean = |draws: &[f64]| importance_weighted(&config, draws);
        assert_eq!(mean(&[1.25]), 1.25);
        assert_eq!(mean(&[7.0; 16]), 7.0);
        // 2^−1024, 2^−1025 and 2^−9216: in the mean, half the first.
        let bit = 1.0 / 1024.0;
        let expected = 1.0 + bit;
        assert!((mean(&[1.0, 1.0 + bit, 9.0]) - expected).abs() < 1e-15);
        assert_eq!(mean(&[-9.0, 9.0]), -9.0 + bit);
    }

    #[test]
    fn no_draw_is_dropped() {
        let config = GlowConfig::small(ImageShape::new(1, 8, 8));
        for bad in [f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(importance_weighted(&config, &[1.0, bad, 2.0]), bad);
        }
        assert!(importance_weighted(&config, &[1.0, f64::NAN]).is_nan());
    }
}
