//! Variational dequantisation: noise that depends on the image (Ho et al. 2019, arXiv:1902.00275,
//! section 3.1).
//!
//! Uniform noise makes a flow fill a box around every image evenly. A second flow, q(u | image),
//! puts the noise where the model's density is high:
//!
//! ```text
//! ε ~ U[0, 1)^(C·H·W),  u = σ(f(logit(δ + (1 − 2δ)·ε); image)),  p = (v + u) / 2^bits
//! ln P(image) ≥ E[ln p(x) + Σ ln|dx/dp| − C·H·W · ln 2^bits − ln q(u | image)]
//! ```
//!
//! f consists of affine couplings on squeezed noise, whose networks also take the squeezed image.
//! They begin as the identity, so training begins with uniform noise.

use crate::config::{GlowConfig, ImageShape};
use crate::network::ConvNetwork;
use candle_core::{Result, Tensor};
use flow_core::ops::Precision;
use flow_core::params::ParamBuilder;
use flow_core::{Bijection, Chain, Coupling, Inverse, Passing, Pointwise, Squeeze};

/// δ: keeps the logit finite.
const MARGIN: f64 = 1e-6;

/// q(u | image).
pub(crate) struct Dequantizer {
    /// Logit, couplings, sigmoid: a bijection of (0, 1) per dimension.
    flow: Chain,
}

impl Dequantizer {
    /// Parameters below `{step}`.
    pub(crate) fn new(
        image: ImageShape,
        steps: usize,
        width: usize,
        precision: Precision,
        params: ParamBuilder,
    ) -> Result<Self> {
        let channels = 4 * image.channels;
        // This scale map is the identity while the last convolution is zero; the paper's is not.
        let config = GlowConfig {
            width,
            ..GlowConfig::small(image)
        };
        let mut parts: Vec<Box<dyn Bijection>> =
            vec![Box::new(Inverse(Pointwise::Sigmoid)), Box::new(Squeeze)];
        for step in 0..steps {
            let transform = config.transform();
            let (inputs, outputs) = (channels / 2, transform.parameters() * (channels / 2));
            let params = params.pp(step);
            let network = ConvNetwork::new(&config, inputs, outputs, channels, precision, params)?;
            let passing = [Passing::FirstHalf, Passing::SecondHalf][step % 2];
            parts.push(Box::new(Coupling::new(transform, passing, network)));
        }
        parts.push(Box::new(Inverse(Squeeze)));
        parts.push(Box::new(Pointwise::Sigmoid));
        Ok(Self {
            flow: Chain::new(parts)?,
        })
    }

    /// u and −ln q(u | image) `[B]`, from `center` and `uniform` `[B, C, H, W]`. `center` holds the
    /// middles of the pixel values, `uniform` numbers on (0, 1).
    pub(crate) fn noise(&self, center: &Tensor, uniform: &Tensor) -> Result<(Tensor, Tensor)> {
        let dimensions = uniform.dims()[1..].iter().product::<usize>();
        let inside = uniform.affine(1.0 - 2.0 * MARGIN, MARGIN)?;
        let (u, log_det) = self.given(center)?.forward(&inside)?;
        Ok((
            u,
            (log_det + dimensions as f64 * (1.0 - 2.0 * MARGIN).ln())?,
        ))
    }

    fn given(&self, center: &Tensor) -> Result<Box<dyn Bijection + '_>> {
        self.flow.given(&Squeeze.forward(center)?.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dequantization, Glow, Preprocessing};
    use candle_core::{DType, Device};
    use flow_core::{check, params::ParamStore, random};

    #[test]
    fn for_each_image_it_is_a_bijection_that_begins_as_the_identity() {
        let tolerances = check::Tolerances::double();
        for image in [ImageShape::new(1, 4, 6), ImageShape::new(3, 4, 2)] {
            let params = ParamStore::new(0);
            let builder = params.builder(DType::F64, &Device::Cpu);
            let dequantizer = Dequantizer::new(image, 3, 5, Precision::F32, builder).unwrap();
            let shape = |count| (count, image.channels, image.height, image.width);
            let center = random::normal(1, shape(1), DType::F64, &Device::Cpu).unwrap();
            let uniform = random::uniform(2, shape(2), DType::F64, &Device::Cpu).unwrap();
            let (u, log_det) = dequantizer.noise(&center, &uniform).unwrap();
            check::close(&u, &uniform, 2.0 * MARGIN).unwrap();
            check::close(&log_det, &log_det.zeros_like().unwrap(), 1e-4).unwrap();

            check::randomize(&params, 3, 0.05).unwrap();
            let given = &*dequantizer.given(&center).unwrap();
            check::round_trip(given, &uniform, tolerances.round_trip).unwrap();
            check::log_det(given, &uniform, tolerances.log_det).unwrap();
            check::gradients(given, &params, &uniform, tolerances.gradients).unwrap();

            // Each image has its own noise.
            let other = center.affine(-1.0, 0.5).unwrap();
            let of = |center: &Tensor, image: usize| {
                let uniform = uniform.narrow(0, image, 1).unwrap();
                dequantizer.noise(center, &uniform).unwrap().0
            };
            let each = Tensor::cat(&[of(&center, 0), of(&other, 1)], 0).unwrap();
            let both = Tensor::cat(&[&center, &other], 0).unwrap();
            let together = dequantizer.noise(&both, &uniform).unwrap().0;
            check::close(&together, &each, 1e-12).unwrap();
            assert!(check::close(&of(&center, 1), &of(&other, 1), 1e-3).is_err());
        }
    }

    /// ∫ p(x(u)) du over all noise of a 2×2 image is its probability, for uneven u too.
    #[test]
    fn no_noise_changes_the_probability_of_an_image() {
        const POINTS: usize = 12;
        let config = |dequantization| GlowConfig {
            steps: 1,
            width: 4,
            preprocessing: Preprocessing::Unit,
            dequantization,
            ..GlowConfig::small(ImageShape::new(1, 2, 2))
        };
        let params = ParamStore::new(0);
        let variational = config(Dequantization::Variational { steps: 2, width: 4 });
        let learned = Glow::new(&variational, params.builder(DType::F64, &Device::Cpu)).unwrap();
        check::randomize(&params, 3, 0.05).unwrap();
        let weights = params.frozen();
        let uniform = config(Dequantization::Uniform);
        let uniform = Glow::new(&uniform, weights.builder(DType::F64, &Device::Cpu)).unwrap();

        // In each dimension ε = s³·(10 − 15s + 6s²). Its weight dε/ds = 30·s²·(1 − s)² is zero at
        // both ends, because du/dε may be infinite there.
        let count = POINTS.pow(4);
        let places = (0..4 * count).map(|i| {
            let place = (i / 4) / POINTS.pow(i as u32 % 4) % POINTS;
            (place as f64 + 0.5) / POINTS as f64
        });
        let places = places.collect::<Vec<_>>();
        let grid = places
            .iter()
            .map(|s| s.powi(3) * (10.0 - 15.0 * s + 6.0 * s * s));
        let grid = Tensor::from_iter(grid, &Device::Cpu).unwrap();
        let grid = grid.reshape((count, 1, 2, 2)).unwrap();
        let weights = places.iter().map(|s| (30.0 * (s * (1.0 - s)).powi(2)).ln());
        let weights = Tensor::from_iter(weights, &Device::Cpu).unwrap();
        let weights = weights.reshape((count, 4)).unwrap().sum(1).unwrap();
        let image = Tensor::new(&[[[[3_u8, 200], [128, 77]]]], &Device::Cpu).unwrap();
        let images = image.repeat((count, 1, 1, 1)).unwrap();
        let log_probability = |model: &Glow| {
            let (x, offset) = model.dequantize_with(&images, &grid).unwrap();
            let terms = (model.log_prob(&x).unwrap() + offset).unwrap();
            let weighted = (&terms + &weights).unwrap();
            let sum = weighted.log_sum_exp(0).unwrap().to_scalar::<f64>().unwrap();
            let spread = terms.max(0).unwrap() - terms.min(0).unwrap();
            (
                sum - (count as f64).ln(),
                spread.unwrap().to_scalar::<f64>().unwrap(),
            )
        };
        let (expected, flat) = log_probability(&uniform);
        let (actual, spread) = log_probability(&learned);
        assert!((actual - expected).abs() < 1e-3, "{actual} {expected}");
        assert!(spread > flat + 0.1, "{spread} {flat}");
    }
}
