//! Configuration of a Glow: every setting that its weights depend on, as checkpoints store it.

use crate::condition::Condition;
use crate::conventions::{Conventions, PriorForm};
use crate::{Error, Result, equalization};
use flow_core::{Additive, Affine, Transform};
use serde::{Deserialize, Serialize};

/// Size of one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct ImageShape {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

impl ImageShape {
    /// An image of `channels` × `height` × `width`.
    pub fn new(channels: usize, height: usize, width: usize) -> Self {
        Self {
            channels,
            height,
            width,
        }
    }

    /// Number of values in an image.
    pub fn dimensions(self) -> usize {
        self.channels * self.height * self.width
    }
}

impl From<ImageShape> for [usize; 3] {
    fn from(shape: ImageShape) -> Self {
        [shape.channels, shape.height, shape.width]
    }
}

impl std::fmt::Display for ImageShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}×{}×{}", self.channels, self.height, self.width)
    }
}

/// Transform of the second half of the channels in a coupling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coupling {
    /// (x₂ + shift) ⊙ s.
    Affine,
    /// x₂ + shift.
    Additive,
}

/// Map from the network's output to the scale of an affine coupling: one of
/// [`flow_core::ScaleMap`], or a learned bound.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ScaleMap {
    /// σ(raw + 2): the paper's, which only shrinks.
    Sigmoid,
    /// σ(raw + 2) + 10⁻³.
    SigmoidOffset,
    /// 1 / σ(raw + 2), which only grows.
    SigmoidInverse,
    /// min(ln(1 + e^raw) + 10⁻³, 3).
    Softplus,
    /// e^raw.
    Exp,
    /// exp(γ·tanh(raw / γ)): shrinks and grows.
    ExpTanh {
        /// γ, the largest |ln s|.
        bound: f64,
    },
    /// exp(γ·tanh(raw)), with a learned γ for each channel.
    ExpTanhLearned,
}

/// Map from pixels in [0, 1) to the space of the flow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Preprocessing {
    /// pixel − ½: the paper's.
    Centered,
    /// The pixel itself.
    Unit,
    /// logit(α + (1 − 2α)·pixel): stretches black and white, where most pixels of a digit are.
    Logit {
        /// α, the distance that keeps the logit finite.
        alpha: f64,
    },
    /// Histogram equalisation, then the logit: frequent values get more room. Made by
    /// [`equalized`](Self::equalized).
    Equalized {
        /// The share of the unit interval for each of the 2^bits pixel values.
        shares: Vec<f64>,
    },
}

impl Preprocessing {
    /// Equalisation of 2^`bits` pixel values from the counts of the 256 values of 8 bits. The
    /// shares are proportional to the counts to the power of ¾.
    pub fn equalized(counts: &[u64; 256], bits: u32) -> Self {
        Self::Equalized {
            shares: equalization::shares(counts, bits),
        }
    }
}

/// Noise that fills the gaps between pixel values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Dequantization {
    /// Uniform noise.
    #[default]
    Uniform,
    /// A flow conditioned on the image (Ho et al. 2019, arXiv:1902.00275).
    Variational {
        /// Number of couplings.
        steps: usize,
        /// Hidden channels of their networks.
        width: usize,
    },
}

impl Dequantization {
    /// Learned noise of the sizes that train best: 4 couplings by networks of 64 channels.
    pub const VARIATIONAL: Self = Self::Variational {
        steps: 4,
        width: 64,
    };
}

/// Configuration of a Glow, all but its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlowConfig {
    /// Size of the images.
    pub image: ImageShape,
    /// L, the number of squeezes.
    pub levels: usize,
    /// K, the flow steps of a level.
    pub steps: usize,
    /// The flow steps of the last level, the coarsest, if not [`steps`](Self::steps).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_steps: Option<usize>,
    /// Hidden channels of the coupling networks.
    pub width: usize,
    /// Transform of the couplings.
    pub coupling: Coupling,
    /// The scale of affine couplings.
    pub scale_map: ScaleMap,
    /// Map from pixels to the space of the flow.
    pub preprocessing: Preprocessing,
    /// Noise between pixel values.
    #[serde(default)]
    pub dequantization: Dequantization,
    /// Bits kept of a pixel, 1 to 8.
    pub bits: u32,
    /// Number of classes that the priors distinguish.
    pub classes: Option<usize>,
    /// Numbers that the model is conditioned on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
    /// Conventions in which implementations of Glow differ.
    #[serde(default)]
    pub conventions: Conventions,
}

/// Larger sizes are mistakes or attacks, and would exceed the memory.
const MAX_WIDTH: usize = 1 << 13;
const MAX_STEPS: usize = 1 << 8;
const MAX_CLASSES: usize = 1 << 16;
const MAX_SIDE: usize = 1 << 12;
const MAX_CHANNELS: usize = 1 << 10;
const MAX_DIMENSIONS: usize = 1 << 20;
const MAX_PARAMETERS: usize = 1 << 30;

/// A smaller share of the unit interval vanishes in f32.
const MIN_SHARE: f64 = 1e-8;

/// Smaller values vanish in f32: white pixels become infinite, a scale map undefined.
const MIN_ALPHA: f64 = 1e-6;
const MIN_BOUND: f64 = 1e-3;

impl GlowConfig {
    /// Trains on a laptop in minutes: 2 levels of 8 steps, 64 channels wide. The last level has a
    /// prior for each element, which separates classes by position.
    pub fn small(image: ImageShape) -> Self {
        Self {
            image,
            levels: 2.min(max_levels(image)),
            steps: 8,
            last_steps: None,
            width: 64,
            coupling: Coupling::Affine,
            scale_map: ScaleMap::ExpTanh { bound: 2.0 },
            preprocessing: Preprocessing::Logit { alpha: 0.01 },
            dequantization: Dequantization::Uniform,
            bits: 8,
            classes: None,
            condition: None,
            conventions: Conventions {
                top_prior: PriorForm::Element,
                ..Conventions::default()
            },
        }
    }

    /// Trains for an hour or more: 2 levels of 16 steps, 128 channels wide.
    pub fn base(image: ImageShape) -> Self {
        Self {
            steps: 16,
            width: 128,
            ..Self::small(image)
        }
    }

    /// The paper's model: 32 steps, 512 channels wide, 3 levels where the size allows it. Scale map
    /// and preprocessing are the paper's (arXiv:1807.03039, table 4 and published code).
    pub fn paper(image: ImageShape) -> Self {
        Self {
            levels: 3.min(max_levels(image)),
            steps: 32,
            width: 512,
            scale_map: ScaleMap::Sigmoid,
            preprocessing: Preprocessing::Centered,
            conventions: Conventions::default(),
            ..Self::small(image)
        }
    }

    /// The flow steps of a level, the last one or another.
    pub fn steps_of(&self, last_level: bool) -> usize {
        match self.last_steps {
            Some(steps) if last_level => steps,
            _ => self.steps,
        }
    }

    /// # Errors
    /// [`Error::Config`] that names the invalid setting.
    pub fn validate(&self) -> Result<()> {
        self.validate_image()?;
        self.validate_sizes()?;
        self.validate_pixels()?;
        self.validate_condition()
    }

    fn validate_image(&self) -> Result<()> {
        let ImageShape {
            channels,
            height,
            width,
        } = self.image;
        let sides = 1..=MAX_SIDE;
        let possible = (1..=MAX_CHANNELS).contains(&channels)
            && sides.contains(&height)
            && sides.contains(&width)
            && self.image.dimensions() <= MAX_DIMENSIONS;
        require(possible, || {
            format!(
                "an image of {} (channels×height×width) is not possible",
                self.image
            )
        })?;
        let most = max_levels(self.image);
        require(most > 0, || {
            format!("images of {height}×{width} cannot be squeezed: both sides must be even")
        })?;
        require((1..=most).contains(&self.levels), || {
            format!(
                "{} levels do not fit images of {height}×{width}: each halves both sides, \
                 so 1 to {most} are possible",
                self.levels
            )
        })
    }

    fn validate_sizes(&self) -> Result<()> {
        let (noise_steps, noise_width) = match self.dequantization {
            Dequantization::Uniform => (1, 1),
            Dequantization::Variational { steps, width } => (steps, width),
        };
        for (name, value, max) in [
            ("steps", self.steps, MAX_STEPS),
            ("steps of the last level", self.steps_of(true), MAX_STEPS),
            ("width", self.width, MAX_WIDTH),
            ("steps of the dequantization", noise_steps, MAX_STEPS),
            ("width of the dequantization", noise_width, MAX_WIDTH),
            ("classes", self.classes.unwrap_or(1), MAX_CLASSES),
        ] {
            require((1..=max).contains(&value), || {
                format!("{name} is {value}, but must lie in 1..={max}")
            })?;
        }
        require(self.parameter_bound() <= MAX_PARAMETERS, || {
            format!(
                "{} × {} steps of width {} have more parameters than fit into memory",
                self.levels, self.steps, self.width
            )
        })?;
        let ScaleMap::ExpTanh { bound } = self.scale_map else {
            return Ok(());
        };
        require((MIN_BOUND..=20.0).contains(&bound), || {
            format!("bound of the scale map is {bound}, but must lie between {MIN_BOUND} and 20")
        })
    }

    fn validate_pixels(&self) -> Result<()> {
        require((1..=8).contains(&self.bits), || {
            format!("bits is {}, but a pixel has 1 to 8", self.bits)
        })?;
        match &self.preprocessing {
            Preprocessing::Centered | Preprocessing::Unit => Ok(()),
            Preprocessing::Logit { alpha } => require((MIN_ALPHA..0.5).contains(alpha), || {
                format!("alpha of the logit is {alpha}, but must lie between {MIN_ALPHA} and 0.5")
            }),
            Preprocessing::Equalized { shares } => validate_shares(shares, self.bits),
        }
    }

    fn validate_condition(&self) -> Result<()> {
        if let Some(condition) = &self.condition {
            condition.validate()?;
            require(self.classes.is_none(), || {
                "a model has classes or another condition, not both: give the class as columns of \
                 zeros and ones"
                    .into()
            })?;
        }
        let unconditional = self.classes.is_none() && self.condition.is_none();
        require(
            unconditional || self.conventions.top_prior.knows_conditions(),
            || {
                "with classes or a condition, the top prior must be one of each channel or element"
                    .into()
            },
        )
    }

    /// Estimate of the number of parameters. It saturates where the count overflows.
    fn parameter_bound(&self) -> usize {
        let step = |level: usize, width: usize| {
            let channels = self.image.channels << (level + 2);
            let inputs = 14 * channels + 9 * self.network_context();
            let network = width.saturating_mul(width + inputs);
            network.saturating_add(3 * channels * channels)
        };
        let steps = (0..self.levels)
            .map(|level| {
                let count = self.steps_of(level + 1 == self.levels);
                step(level, self.width).saturating_mul(count)
            })
            .fold(0, usize::saturating_add);
        let dequantizer = match self.dequantization {
            Dequantization::Uniform => 0,
            Dequantization::Variational { steps, width } => step(0, width).saturating_mul(steps),
        };
        let Conventions {
            split_prior,
            top_prior,
            ..
        } = self.conventions;
        let gaussians = if [split_prior, top_prior].contains(&PriorForm::Element) {
            2 * self.image.dimensions() * (1 + self.condition_rows())
        } else {
            0
        };
        steps.saturating_add(dequantizer).saturating_add(gaussians)
    }

    /// Rows that a condition adds to the table of a prior.
    fn condition_rows(&self) -> usize {
        let columns = self.condition.as_ref().map(|it| it.columns.len());
        self.classes.or(columns).unwrap_or(0)
    }

    /// The transform of the couplings.
    pub(crate) fn transform(&self) -> Box<dyn Transform> {
        use flow_core::ScaleMap as Map;
        let map = match (self.coupling, self.scale_map) {
            (Coupling::Additive, _) => return Box::new(Additive),
            (Coupling::Affine, ScaleMap::Sigmoid) => Map::Sigmoid,
            (Coupling::Affine, ScaleMap::SigmoidOffset) => Map::SigmoidOffset,
            (Coupling::Affine, ScaleMap::SigmoidInverse) => Map::SigmoidInverse,
            (Coupling::Affine, ScaleMap::Softplus) => Map::Softplus,
            // A learned bound is part of the network, which then gives ln s.
            (Coupling::Affine, ScaleMap::Exp | ScaleMap::ExpTanhLearned) => Map::Exp,
            (Coupling::Affine, ScaleMap::ExpTanh { bound }) => Map::ExpTanh { bound },
        };
        Box::new(Affine(map, self.conventions.affine_order))
    }
}

fn require(holds: bool, otherwise: impl FnOnce() -> String) -> Result<()> {
    if holds {
        Ok(())
    } else {
        Err(Error::Config(otherwise()))
    }
}

fn validate_shares(shares: &[f64], bits: u32) -> Result<()> {
    let values = 1_usize << bits;
    require(shares.len() == values, || {
        format!(
            "equalization has {} shares, but needs one for each of {values} pixel values",
            shares.len()
        )
    })?;
    for share in shares {
        require((MIN_SHARE..=1.0).contains(share), || {
            format!(
                "a share of the equalization is {share}, but must lie between {MIN_SHARE} and 1"
            )
        })?;
    }
    let sum = shares.iter().sum::<f64>();
    require((sum - 1.0).abs() <= 1e-9, || {
        format!("the shares of the equalization sum to {sum}, but must sum to 1")
    })
}

/// Number of times that both sides can be halved.
fn max_levels(image: ImageShape) -> usize {
    image
        .height
        .trailing_zeros()
        .min(image.width.trailing_zeros()) as usize
}
