//! The bits of each pixel: −log₂ p of an image as a sum over places.
//!
//! The likelihood of a Glow is a sum. Couplings, 1×1 convolutions, ActNorm and whitening act on each
//! place of a level by itself, given what their networks see, and so does the density of latents. A
//! place of level l stands for 2^(l+1)×2^(l+1) pixels, which share its bits evenly.

use crate::part::Part;
use crate::{Error, Glow, Result, quantize};
use candle_core::Tensor;
use flow_core::{Bijection, standard_normal_log_prob, transfer};
use std::f64::consts::LN_2;

impl Glow {
    /// Bits `[B, H, W]` of u8 images `[B, C, H, W]`, summed over channels; `seed` draws the noise,
    /// as in [`bits_per_dim`](Glow::bits_per_dim). A model with classes needs `class`.
    ///
    /// The terms that belong to no pixel are left out: the number of pixel values, and the density
    /// of learned noise. So the sum over pixels and −log₂ p differ by a number, which is the number
    /// of dimensions times the bits of a pixel for uniform noise.
    ///
    /// # Errors
    /// If the images are not the model's, or it is conditional on numbers.
    pub fn pixel_bits(&self, images: &Tensor, class: Option<u32>, seed: u64) -> Result<Tensor> {
        if self.config().condition.is_some() {
            let reason = "bits of pixels need a model that is not conditional on numbers";
            return Err(Error::Config(reason.into()));
        }
        let (x, mut nats) = self.slopes(images, seed)?;
        let labels = class.map(|class| Tensor::full(class, (x.dim(0)?, 1), x.device()));
        let labels = labels.transpose()?;
        let levels = self.levels().levels();
        let mut x = x;
        for (level, chain) in levels.iter().enumerate() {
            let mut of_level: Option<Tensor> = None;
            for part in chain.parts() {
                let (y, log_det) = forward_by_place(part, &x)?;
                x = y;
                of_level = sum(of_level, log_det)?;
            }
            let mut latent = x.clone();
            if level + 1 < levels.len() {
                let half = x.dim(1)? / 2;
                latent = x.narrow(1, half, half)?.contiguous()?;
                x = x.narrow(1, 0, half)?.contiguous()?;
            }
            if let Some(prior) = &self.priors().levels()[level] {
                let (white, log_det) = prior.forward_by_place(&latent, labels.as_ref())?;
                latent = white;
                of_level = sum(of_level, Some(log_det))?;
            }
            let of_level = sum(of_level, Some(log_normal(&latent)?))?;
            if let Some(of_level) = of_level {
                nats = (nats + spread(&of_level, 2 << level)?)?;
            }
        }
        Ok((nats * (-1.0 / LN_2))?)
    }

    /// x in model space, and Σ ln|dx/dp| of each pixel, `[B, H, W]`.
    fn slopes(&self, images: &Tensor, seed: u64) -> Result<(Tensor, Tensor)> {
        self.check_images(images)?;
        let images = &transfer::to_device(images, self.device())?;
        let (b, c, height, width) = images.dims4()?;
        // A pixel becomes an image; the count of pixel values, a constant, is taken out again.
        let config = self.config();
        let pixels = |images: &Tensor| {
            let pixels = images.permute((0, 2, 3, 1))?.contiguous()?;
            pixels.reshape((b * height * width, c, 1, 1))
        };
        let noise = self.noise_of(images, seed)?;
        let (x, offset) = quantize::dequantize(config, &pixels(images)?, &pixels(&noise)?)?;
        let x = x.reshape((b, height, width, c))?.permute((0, 3, 1, 2))?;
        let counts = config.image.dimensions() as f64 * f64::from(config.bits) * LN_2;
        let slopes = (offset + counts)?.reshape((b, height, width))?;
        Ok((x.contiguous()?, slopes))
    }
}

/// The output of a part, and its log-determinant as a sum over places, `[B, H, W]`, if it is not 0.
fn forward_by_place(part: &Part, x: &Tensor) -> Result<(Tensor, Option<Tensor>)> {
    match part {
        Part::Step(step) => {
            let (mut x, mut log_det) = (x.clone(), None);
            for part in step.parts() {
                let (y, of_part) = forward_by_place(part, &x)?;
                x = y;
                log_det = sum(log_det, of_part)?;
            }
            Ok((x, log_det))
        }
        Part::Squeeze(squeeze) => Ok((squeeze.forward(x)?.0, None)),
        Part::Coupling(coupling) => {
            let (y, log_det) = coupling.forward_by_place(x)?;
            Ok((y, Some(log_det)))
        }
        Part::Split(split) => {
            let (y, log_det) = split.forward_by_place(x)?;
            Ok((y, Some(log_det)))
        }
        // The same map at each place.
        Part::Mixing(_) | Part::Conv1x1(_) => {
            let (b, _, height, width) = x.dims4()?;
            let (y, log_det) = part.forward(x)?;
            let log_det = (log_det / (height * width) as f64)?.reshape((b, 1, 1))?;
            Ok((
                y,
                Some(log_det.broadcast_as((b, height, width))?.contiguous()?),
            ))
        }
    }
}

fn sum(sum: Option<Tensor>, term: Option<Tensor>) -> Result<Option<Tensor>> {
    Ok(match (sum, term) {
        (Some(sum), Some(term)) => Some((sum + term)?),
        (sum, term) => sum.or(term),
    })
}

/// ln p of latents `[B, C, H, W]` at each place, `[B, H, W]`.
fn log_normal(latent: &Tensor) -> Result<Tensor> {
    let (b, c, height, width) = latent.dims4()?;
    let places = latent.permute((0, 2, 3, 1))?.contiguous()?;
    let log_prob = standard_normal_log_prob(&places.reshape((b * height * width, c))?)?;
    Ok(log_prob.reshape((b, height, width))?)
}

/// Numbers of places `[B, H, W]`, shared evenly by `side`×`side` pixels each.
fn spread(places: &Tensor, side: usize) -> Result<Tensor> {
    let (b, height, width) = places.dims3()?;
    let shares = (places / (side * side) as f64)?.reshape(&[b, height, 1, width, 1][..])?;
    let shares = shares.broadcast_as(&[b, height, side, width, side][..])?;
    Ok(shares
        .contiguous()?
        .reshape((b, height * side, width * side))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dequantization, GlowConfig, ImageShape, Preprocessing};
    use candle_core::{DType, Device};
    use flow_core::{check, params::ParamStore};

    fn glow(config: &GlowConfig) -> Glow {
        let store = ParamStore::new(1);
        let glow = Glow::new(config, store.builder(DType::F64, &Device::Cpu)).unwrap();
        check::randomize(&store, 1, 0.1).unwrap();
        glow
    }

    fn images(image: ImageShape) -> Tensor {
        let count = 2 * image.dimensions();
        let values = (0..count).map(|i| ((i * 7919) % 256) as u8).collect();
        let shape = (2, image.channels, image.height, image.width);
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    #[test]
    fn the_bits_of_pixels_sum_to_those_of_the_image() {
        for (channels, classes, preprocessing) in [
            (1, None, Preprocessing::Centered),
            (3, Some(4), Preprocessing::Logit { alpha: 0.05 }),
            (1, Some(2), Preprocessing::equalized(&[9; 256], 8)),
        ] {
            let config = GlowConfig {
                steps: 3,
                width: 6,
                classes,
                preprocessing,
                dequantization: Dequantization::Uniform,
                ..GlowConfig::small(ImageShape::new(channels, 8, 12))
            };
            let (glow, images) = (glow(&config), images(config.image));
            let class = classes.map(|_| 1);
            let bits = glow.pixel_bits(&images, class, 3).unwrap();
            assert_eq!(bits.dims(), [2, 8, 12]);
            let label = Tensor::new(&[1_u32], &Device::Cpu).unwrap();
            let whole = match class {
                Some(_) => glow.given(&label).unwrap().bits_per_dim(&images, 3),
                None => glow.bits_per_dim(&images, 3),
            };
            let dimensions = config.image.dimensions() as f64;
            // Eight bits for each number, which no pixel has more of.
            let expected = ((whole.unwrap() - 8.0).unwrap() * dimensions).unwrap();
            let found = bits.sum((1, 2)).unwrap();
            check::close(&found, &expected, 1e-8).unwrap();
        }
    }
}
