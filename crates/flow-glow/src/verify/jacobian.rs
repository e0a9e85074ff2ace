//! The whole model's log-determinant against the Jacobian of automatic differentiation.

use super::{Measured, Model, worst};
use crate::config::{GlowConfig, ImageShape};
use crate::part::Part;
use crate::{Glow, Result};
use flow_core::runs::Rows;
use flow_core::train::Data;
use flow_core::{Bijection, check, linalg};

/// Budget of multiplications, about half a minute on two cores: enough for a whole digit under the
/// small preset.
const BUDGET: f64 = 5e10;

/// Largest number of images to differentiate.
const MAX_IMAGES: usize = 4;

/// Copies of an image differentiated at a time: enough to fill the cores. The activations of the
/// small preset then take 200 MB.
const COPIES: usize = 32;

/// The largest difference between the model's ln|det| and that of the automatic Jacobian, in nats a
/// dimension, at images x `[B, C, H, W]` in model space. The detail gives the difference without
/// that of rotations, whose determinant is 1 by definition but not quite as stored.
///
/// The Jacobian has a row for each latent, so all levels, splits and priors are in it, and it is
/// square. Where a whole image would take too long, the same weights are applied to the largest
/// affordable crop from its middle, unless `whole` is set. A crop passes the same layers, since
/// only the Gaussian of each element depends on the image size, and it is cropped too.
pub(super) fn measure(model: &Model, data: &Data, whole: bool) -> Result<Measured> {
    let config = model.config;
    let image = if whole {
        config.image
    } else {
        affordable(config)
    };
    let glow = model.in_f64(image)?;
    let affordable = (BUDGET / cost(config, image)) as usize;
    let batch = data.samples().dim(0)?;
    let images = affordable.clamp(1, MAX_IMAGES).min(batch);
    let dimensions = image.dimensions() as f64;
    let rotations = rotations(&glow)?;
    let (mut total, mut rest) = (Vec::new(), Vec::new());
    for i in 0..images {
        let data = data.of(&Rows::new(i..i + 1, batch))?;
        let given = glow.conditioned_on(&data)?;
        let bijection = given.bijection();
        let x = model.crop(data.samples(), image)?;
        let claimed = bijection.forward(&x)?.1.to_vec1::<f64>()?[0];
        let jacobian = check::jacobian(|x| Ok(bijection.forward(x)?.0), &x, COPIES)?;
        let difference = linalg::log_abs_det(&jacobian)? - claimed;
        total.push(difference.abs() / dimensions);
        rest.push((difference - rotations).abs() / dimensions);
    }
    let (done, all) = (image.dimensions(), config.image.dimensions());
    let plural = if images == 1 { "" } else { "s" };
    let part = if done == all {
        format!("{images} image{plural}")
    } else {
        format!("crop{plural} of {image} from {images} image{plural}")
    };
    Ok(Measured {
        value: worst(total),
        detail: format!(
            "nats a dimension, {done} of {all} dimensions, {part}; {:.1e} but for rounded rotations",
            worst(rest)
        ),
    })
}

/// ln|det| of the rotations of all 1×1 convolutions, over all pixels. The automatic Jacobian
/// contains it; the convolution's own log-determinant takes it to be 0.
fn rotations(glow: &Glow) -> Result<f64> {
    let mut sum = 0.0;
    let levels = glow.levels();
    for (level, [_, height, width]) in levels.levels().iter().zip(levels.latent_shapes().iter()) {
        for conv in level.parts().iter().flat_map(Part::convolutions) {
            let whole = linalg::log_abs_det(&conv.weight()?.to_vec2()?)?;
            let claimed = conv.map()?.log_det.to_scalar::<f64>()?;
            sum += (height * width) as f64 * (whole - claimed);
        }
    }
    Ok(sum)
}

/// The largest crop that the budget allows, and at least the smallest that can be squeezed.
fn affordable(config: &GlowConfig) -> ImageShape {
    let ImageShape { height, width, .. } = config.image;
    let unit = 1 << config.levels;
    (1..=height.max(width) / unit)
        .map(|units| crop(config, units))
        .take_while(|&image| cost(config, image) <= BUDGET)
        .last()
        .unwrap_or(crop(config, 1))
}

/// An image of `units` times the smallest side that the model can squeeze at every level.
pub(super) fn crop(config: &GlowConfig, units: usize) -> ImageShape {
    let side = units << config.levels;
    let ImageShape {
        channels,
        height,
        width,
    } = config.image;
    ImageShape::new(channels, side.min(height), side.min(width))
}

/// Multiplications for one Jacobian: for each dimension a forward pass, and twice as many for the
/// backward pass. Nearly all are in the coupling networks.
fn cost(config: &GlowConfig, image: ImageShape) -> f64 {
    let width = config.width as f64;
    let pass: f64 = (0..config.levels)
        .map(|level| {
            let channels = ((4 * image.channels) << level) as f64;
            let pixels = ((image.height * image.width) >> (2 * level + 2)) as f64;
            let network = width * width + 9.0 * width * 1.5 * channels;
            pixels * network * config.steps_of(level + 1 == config.levels) as f64
        })
        .sum();
    3.0 * pass * image.dimensions() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_models_are_differentiated_on_crops() {
        let digit = ImageShape::new(1, 28, 28);
        assert_eq!(affordable(&GlowConfig::small(digit)), digit);
        assert_eq!(
            affordable(&GlowConfig::base(digit)),
            ImageShape::new(1, 16, 16)
        );
        let photograph = GlowConfig::paper(ImageShape::new(3, 32, 32));
        assert_eq!(affordable(&photograph), ImageShape::new(3, 8, 8));
        let strip = GlowConfig::small(ImageShape::new(1, 4, 400));
        assert_eq!(affordable(&strip).height, 4);
    }
}
