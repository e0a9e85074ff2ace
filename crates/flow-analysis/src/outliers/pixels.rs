//! The bits of one image, and of each of its pixels.

use super::{Noise, observe_images};
use crate::{Error, Result};
use candle_core::Tensor;
use flow_core::transfer;
use flow_glow::Glow;
use flow_glow::ranks::Alone;

/// What one image costs under a model.
pub struct ImageBits {
    /// −log₂ p of the image, per dimension.
    pub bits_per_dim: f64,
    /// ln p(class | image) of each class, where they are equally likely; `None` without classes.
    pub class_log_posteriors: Option<Vec<f64>>,
    /// Bits of each pixel, row by row: their sum is −log₂ p of the image. Terms that belong to no
    /// pixel are shared evenly: those of learned noise, and of a model with classes the step from its
    /// likeliest class to all of them.
    pub pixels: Vec<f64>,
}

impl ImageBits {
    /// Those of one u8 image `[1, C, H, W]` under the noise of `seed`.
    ///
    /// # Errors
    /// If it is not one image of the model, or the model is conditional on numbers.
    pub fn of(model: &Glow, image: &Tensor, seed: u64) -> Result<Self> {
        let count = image.dim(0)?;
        if count != 1 {
            let reason = format!("the bits of pixels are of one image, not of {count}");
            return Err(Error::Input(reason));
        }
        let observed = observe_images(model, image, Noise::Same(seed), &Alone, |_| {})?;
        let bits_per_dim = observed[0].bits_per_dim;
        let config = model.config();
        let class_log_posteriors = config.classes.map(|_| posteriors(model, image, seed));
        let class_log_posteriors = class_log_posteriors.transpose()?;
        let class = class_log_posteriors.as_deref().map(likeliest);
        let mut pixels = transfer::numbers(&model.pixel_bits(image, class, seed)?.flatten_all()?)?;
        let whole = bits_per_dim * config.image.dimensions() as f64;
        let rest = (whole - pixels.iter().sum::<f64>()) / pixels.len() as f64;
        for bits in &mut pixels {
            *bits += rest;
        }
        Ok(Self {
            bits_per_dim,
            class_log_posteriors,
            pixels,
        })
    }
}

/// The likeliest class of one u8 image `[1, C, H, W]`, under the noise of `seed`.
///
/// # Errors
/// If the model has no classes, or it is not an image of the model.
pub fn likeliest_class(model: &Glow, image: &Tensor, seed: u64) -> Result<u32> {
    Ok(likeliest(&posteriors(model, image, seed)?))
}

fn posteriors(model: &Glow, image: &Tensor, seed: u64) -> Result<Vec<f64>> {
    let (x, _) = model.dequantize(image, seed)?;
    Ok(transfer::numbers(&model.class_log_posteriors(&x)?.get(0)?)?)
}

fn likeliest(log_posteriors: &[f64]) -> u32 {
    let classes = log_posteriors.iter().enumerate();
    let best = classes.max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or(0, |(class, _)| class as u32)
}
