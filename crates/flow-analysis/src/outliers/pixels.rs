//! The bits of each pixel of an image.

use super::{Noise, observe_images};
use crate::{Error, Result};
use candle_core::Tensor;
use flow_core::transfer;
use flow_glow::Glow;
use flow_glow::ranks::Alone;

/// Bits of each pixel of one u8 image `[1, C, H, W]`, row by row: their sum is −log₂ p of the image
/// under the noise of `seed`. Terms that belong to no pixel are shared evenly: those of learned
/// noise, and of a model with classes the step from its likeliest class to all of them.
///
/// # Errors
/// If it is not one image of the model, or the model is conditional on numbers.
pub fn pixel_bits(model: &Glow, image: &Tensor, seed: u64) -> Result<Vec<f64>> {
    let count = image.dim(0)?;
    if count != 1 {
        let reason = format!("the bits of pixels are of one image, not of {count}");
        return Err(Error::Input(reason));
    }
    let observed = observe_images(model, image, Noise::Same(seed), &Alone, |_| {})?;
    let config = model.config();
    let whole = observed[0].bits_per_dim * config.image.dimensions() as f64;
    let class = match config.classes {
        Some(_) => Some(likeliest_class(model, image, seed)?),
        None => None,
    };
    let mut bits = transfer::numbers(&model.pixel_bits(image, class, seed)?.flatten_all()?)?;
    let rest = (whole - bits.iter().sum::<f64>()) / bits.len() as f64;
    for bits in &mut bits {
        *bits += rest;
    }
    Ok(bits)
}

/// The likeliest class of one u8 image `[1, C, H, W]`, under the noise of `seed`.
///
/// # Errors
/// If the model has no classes, or it is not an image of the model.
pub fn likeliest_class(model: &Glow, image: &Tensor, seed: u64) -> Result<u32> {
    let (x, _) = model.dequantize(image, seed)?;
    let posteriors = transfer::numbers(&model.class_log_posteriors(&x)?.get(0)?)?;
    let classes = posteriors.iter().enumerate();
    let best = classes.max_by(|a, b| a.1.total_cmp(b.1));
    Ok(best.map_or(0, |(class, _)| class as u32))
}
