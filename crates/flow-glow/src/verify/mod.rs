//! Verification of a trained model's numbers.
//!
//! [`verify`] measures a model's own weights on real images and compares each result with a bound.
//! The weights are in f32, as in a checkpoint. The same weights in f64 tell errors of the
//! mathematics from rounding.

mod integral;
mod jacobian;
mod layers;

pub use layers::{Layer, Range};

use crate::config::{GlowConfig, ImageShape};
use crate::{Glow, Result};
use candle_core::{DType, Device, Tensor, Var};
use flow_core::params::ParamStore;
use flow_core::train::Data;

/// Nats a dimension: a seventieth of the last of four reported decimals. The f32 rounding of stored
/// rotations, whose determinant is taken to be 1, causes a few hundredths of it.
const MAX_LOG_DET_ERROR: f64 = 1e-6;

/// Relative, of one layer in f32. Rounding is 6·10⁻⁸, and a layer may lose three of those seven
/// digits.
const MAX_LAYER_ERROR_F32: f64 = 1e-4;

/// Relative, of one layer in f64, with the same allowance.
const MAX_LAYER_ERROR_F64: f64 = 1e-12;

/// Relative, of the whole model in f32: at most half the distance between two of 256 grey values,
/// so pixels come back unchanged under either preprocessing.
const MAX_MODEL_ERROR_F32: f64 = 1e-3;

/// Relative, of the whole model in f64. f32 may lose four of its seven digits, f64 six of its
/// sixteen; a larger error is not rounding.
const MAX_MODEL_ERROR_F64: f64 = 1e-10;

/// Condition number of a 1×1 convolution: its inverse may lose four of the seven digits of f32.
const MAX_CONDITION: f64 = 1e4;

/// Bound of |ln s|: 10⁶ to one. If two numbers so far apart are mixed, f32 keeps one digit of the
/// smaller.
const MAX_LOG_SCALE: f64 = 13.8;

/// Nats a dimension, of any image: a seventh of the last of four decimals in bits per dimension.
const MAX_PRECISION_GAP: f64 = 1e-5;

/// Error of the integral. Numerical differentiation of `decode` contributes a few thousandths of
/// this, the quadrature a ten-thousandth.
const MAX_INTEGRAL_ERROR: f64 = 1e-4;

/// The seed of the dequantisation noise: equal models and images give equal reports.
const SEED: u64 = 0;

/// Result of a verification.
#[derive(Clone, Debug)]
pub struct Report {
    /// One verdict for each check.
    pub verdicts: Vec<Verdict>,
    /// Measurements of each layer.
    pub layers: Vec<Layer>,
}

/// A number and its bound.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Name of the check.
    pub check: &'static str,
    /// The measured number; NaN if the measurement failed.
    pub value: f64,
    /// The largest valid value.
    pub bound: f64,
    /// The unit of `value`, the data and the worst place; or why the measurement failed.
    pub detail: String,
}

impl Verdict {
    /// True if the value is within the bound; false for NaN.
    pub fn passed(&self) -> bool {
        self.value <= self.bound
    }
}

/// The model under test.
struct Model<'a> {
    config: &'a GlowConfig,
    weights: &'a ParamStore,
}

impl Model<'_> {
    /// The same weights in f64, for crops from the middle of the images.
    fn in_f64(&self, image: ImageShape) -> Result<Glow> {
        let convert = |(name, var): (String, Var)| {
            let double = var.to_dtype(DType::F64)?;
            // Only a prior of each element has parameters with a position in the image.
            let has_places = name.ends_with("gaussian") && double.rank() == 4;
            let cropped = if has_places {
                self.crop(&double, image)?
            } else {
                double
            };
            Ok((name, cropped))
        };
        let weights = self.weights.vars().into_iter().map(convert);
        let store = ParamStore::from_tensors(weights.collect::<candle_core::Result<Vec<_>>>()?)?;
        let config = GlowConfig {
            image,
            ..self.config.clone()
        };
        Glow::new(&config, store.frozen().builder(DType::F64, &Device::Cpu))
    }

    /// The middle of images, or of the model's output at any level: the same pixels.
    fn crop(&self, x: &Tensor, image: ImageShape) -> candle_core::Result<Tensor> {
        let whole = self.config.image;
        let cut = |x: Tensor, dim: usize, whole: usize, part: usize| {
            let shrunk = whole / x.dim(dim)?;
            // Pixels that are squeezed together stay together.
            let square = 1 << self.config.levels;
            let start = (whole - part) / 2 / square * square;
            x.narrow(dim, start / shrunk, part / shrunk)
        };
        let x = cut(x.clone(), 2, whole.height, image.height)?;
        cut(x, 3, whole.width, image.width)?.contiguous()
    }
}

/// A measured number and its description.
struct Measured {
    value: f64,
    detail: String,
}

/// Measures the model of these weights, in f32 on the CPU, on u8 images `[B, C, H, W]` and their
/// conditions, if the model takes any.
///
/// The log-determinant is compared on a crop if a whole image would take more than about a minute,
/// unless `whole` is set.
///
/// # Errors
/// If weights, images or conditions do not fit the model. Errors of its numbers are in the report.
pub fn verify(
    config: &GlowConfig,
    weights: &ParamStore,
    data: impl Into<Data>,
    whole: bool,
) -> Result<Report> {
    let data = data.into();
    let model = Model { config, weights };
    let single = Glow::new(config, weights.frozen().builder(DType::F32, &Device::Cpu))?;
    let double = model.in_f64(config.image)?;
    let (x, _) = single.dequantize(data.samples(), SEED)?;
    let in_f64 = data.with_samples(&x.to_dtype(DType::F64)?);
    let in_f32 = data.with_samples(&x);
    let layers = layers::measure((&single, &in_f32), (&double, &in_f64))?;
    let mut verdicts = vec![judge("parameters", 0.0, non_finite(weights))];
    let log_det = jacobian::measure(&model, &in_f64, whole);
    verdicts.push(judge("log-determinant", MAX_LOG_DET_ERROR, log_det));
    let integral = integral::measure(&model, &in_f64);
    verdicts.push(judge("integral", MAX_INTEGRAL_ERROR, integral));
    verdicts.extend(judge_layers(&layers));
    let gap = precision_gap((&single, &in_f32), (&double, &in_f64));
    verdicts.push(judge("f32 against f64", MAX_PRECISION_GAP, gap));
    Ok(Report { verdicts, layers })
}

fn judge(check: &'static str, bound: f64, measured: Result<Measured>) -> Verdict {
    let Measured { value, detail } = measured.unwrap_or_else(|error| Measured {
        value: f64::NAN,
        detail: error.to_string(),
    });
    Verdict {
        check,
        value,
        bound,
        detail,
    }
}

fn judge_layers(layers: &[Layer]) -> [Verdict; 6] {
    let (model, parts) = layers.split_last().expect("a model has layers");
    let of_model = |value| {
        Ok(Measured {
            value,
            detail: "relative, decode(encode(x)) against x".into(),
        })
    };
    let scale = |layer: &Layer| {
        let ranges = [layer.actnorm_log_scale, layer.log_scale];
        Some(worst(ranges.into_iter().flatten().map(Range::magnitude)))
    };
    let worst_part = |what: &str, of: &dyn Fn(&Layer) -> Option<f64>| {
        let found = parts.iter().filter_map(|layer| Some((of(layer)?, layer)));
        let (value, layer) = found
            .max_by(|(a, _), (b, _)| a.total_cmp(b))
            .expect("a model has a step");
        let detail = format!("{what} `{}`", layer.name);
        Ok(Measured { value, detail })
    };
    [
        judge(
            "layers invert in f32",
            MAX_LAYER_ERROR_F32,
            worst_part("relative, worst at", &|layer| Some(layer.round_trip_f32)),
        ),
        judge(
            "layers invert in f64",
            MAX_LAYER_ERROR_F64,
            worst_part("relative, worst at", &|layer| Some(layer.round_trip_f64)),
        ),
        judge(
            "model inverts in f32",
            MAX_MODEL_ERROR_F32,
            of_model(model.round_trip_f32),
        ),
        judge(
            "model inverts in f64",
            MAX_MODEL_ERROR_F64,
            of_model(model.round_trip_f64),
        ),
        judge(
            "condition of 1×1 convolutions",
            MAX_CONDITION,
            worst_part("largest at", &|layer| layer.condition),
        ),
        judge(
            "|ln scale|",
            MAX_LOG_SCALE,
            worst_part("largest at", &scale),
        ),
    ]
}

/// Number of parameters that are NaN or infinite, and the tensor of the first of them.
fn non_finite(weights: &ParamStore) -> Result<Measured> {
    let (mut count, mut first) = (0, String::new());
    for (name, var) in weights.vars() {
        let values = var.flatten_all()?.to_vec1::<f32>()?;
        let here = values.iter().filter(|value| !value.is_finite()).count();
        if here > 0 && first.is_empty() {
            first = format!(", the first in `{name}`");
        }
        count += here;
    }
    Ok(Measured {
        value: count as f64,
        detail: format!("of {} NaN or infinite{first}", weights.element_count()),
    })
}

/// The largest difference between ln p(x) in f32 and in f64 at the same x, in nats a dimension.
fn precision_gap(single: (&Glow, &Data), double: (&Glow, &Data)) -> Result<Measured> {
    let log_prob = |(glow, data): (&Glow, &Data)| {
        let log_prob = glow.conditioned_on(data)?.log_prob(data.samples())?;
        Result::Ok(log_prob.to_dtype(DType::F64)?)
    };
    let gaps = (log_prob(single)? - log_prob(double)?)?
        .abs()?
        .to_vec1::<f64>()?;
    let dimensions = single.0.config().image.dimensions() as f64;
    let (count, mean) = (gaps.len(), gaps.iter().sum::<f64>() / gaps.len() as f64);
    Ok(Measured {
        value: worst(gaps) / dimensions,
        detail: format!(
            "nats a dimension, the largest of all images ({count}); {:.1e} in the mean",
            mean / dimensions
        ),
    })
}

/// The largest of some magnitudes; NaN if any is NaN, 0 if there are none.
fn worst(magnitudes: impl IntoIterator<Item = f64>) -> f64 {
    let largest = magnitudes.into_iter().max_by(f64::total_cmp);
    largest.unwrap_or(0.0)
}
