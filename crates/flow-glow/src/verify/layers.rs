//! What is measured of each layer: how well it inverts, and by how much it scales.

use crate::Result;
use crate::conventions::Half;
use crate::level::Level;
use crate::model::Glow;
use crate::prior::SplitPrior;
use crate::step::FlowStep;
use crate::whole::Whole;
use candle_core::{DType, Tensor};
use flow_core::{Bijection, InvertibleConv1x1, Squeeze, Whiten, check, linalg};

/// One layer of a model on real images.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Where its parameters are, such as `levels.0.steps.3`; a level stands after what it consists of,
    /// and `model` is all of them.
    pub name: String,
    /// The largest |inverse(forward(x)) − x| relative to 1 + the largest |x|, in f32. Infinite if there
    /// is no inverse.
    pub round_trip_f32: f64,
    /// The same in f64.
    pub round_trip_f64: f64,
    /// Of a 1×1 convolution, that of a step or one by itself: its largest singular value over the smallest.
    pub condition: Option<f64>,
    /// Of a step: ln of the scales of its ActNorm.
    pub actnorm_log_scale: Option<Range>,
    /// Of a step, a split or the prior: ln of the scales that it gives the numbers of these images.
    pub log_scale: Option<Range>,
}

/// From the smallest to the largest; both are NaN if one of the numbers is.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Range {
    pub min: f64,
    pub max: f64,
}

impl Range {
    fn of(values: &Tensor) -> candle_core::Result<Self> {
        let values = values.flatten_all()?.to_dtype(DType::F64)?.to_vec1()?;
        let start = Self {
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        };
        Ok(values.into_iter().fold(start, |range, value: f64| {
            if value.is_nan() || range.min.is_nan() {
                return Self {
                    min: f64::NAN,
                    max: f64::NAN,
                };
            }
            Self {
                min: range.min.min(value),
                max: range.max.max(value),
            }
        }))
    }

    /// The largest magnitude.
    pub(super) fn magnitude(self) -> f64 {
        self.min.abs().max(self.max.abs())
    }
}

/// Measures every layer of a model, `single` in f32 and `double` in f64, at images x `[B, C, H, W]` in
/// model space and f32.
pub(super) fn measure(
    single: &Glow,
    double: &Glow,
    x: &Tensor,
    labels: Option<&Tensor>,
) -> Result<Vec<Layer>> {
    let in_f32 = visits(single, x, labels)?;
    let in_f64 = visits(double, &x.to_dtype(DType::F64)?, labels)?;
    in_f32
        .iter()
        .zip(&in_f64)
        .map(|(single, double)| {
            let Scales {
                condition,
                actnorm,
                conditional,
            } = double.scales()?;
            Ok(Layer {
                name: double.name.clone(),
                round_trip_f32: single.round_trip()?,
                round_trip_f64: double.round_trip()?,
                condition,
                actnorm_log_scale: actnorm,
                log_scale: conditional,
            })
        })
        .collect()
}

/// A layer and what enters it.
struct Visit<'a> {
    name: String,
    part: Part<'a>,
    x: Tensor,
}

enum Part<'a> {
    /// A step, and the channels that its coupling moves.
    Step(&'a FlowStep, Vec<u32>),
    Conv(&'a InvertibleConv1x1),
    /// A split, and the channels that it takes out.
    Split(&'a SplitPrior, Vec<u32>),
    Level(&'a Level),
    Prior(Whiten),
    Model(Whole<'a>),
}

/// Every layer of a model, in the order in which data pass.
fn visits<'a>(glow: &'a Glow, x: &Tensor, labels: Option<&Tensor>) -> Result<Vec<Visit<'a>>> {
    let mut visits = Vec::new();
    let mut visit = |name: String, part: Part<'a>, x: &Tensor| {
        let x = x.clone();
        visits.push(Visit { name, part, x });
    };
    let conventions = glow.config().conventions;
    let mut y = x.clone();
    for (l, level) in glow.levels.iter().enumerate() {
        let entering = y;
        y = Squeeze.forward(&entering)?.0;
        for (k, step) in level.steps.parts().iter().enumerate() {
            let passing = conventions.passing(k);
            let moved = passing.order(y.dim(1)?).split_off(passing.count(y.dim(1)?));
            visit(format!("levels.{l}.steps.{k}"), Part::Step(step, moved), &y);
            y = step.forward(&y)?.0;
        }
        if let Some(end) = &level.end {
            visit(format!("levels.{l}.conv1x1"), Part::Conv(end), &y);
            y = end.forward(&y)?.0;
        }
        if let Some(split) = &level.split {
            let half = y.dim(1)? / 2;
            let first_taken_out = match conventions.split_keeps {
                Half::First => half,
                Half::Second => 0,
            };
            let taken_out = (first_taken_out..first_taken_out + half).map(|c| c as u32);
            let part = Part::Split(split, taken_out.collect());
            visit(format!("levels.{l}.split"), part, &y);
            y = split.forward(&y)?.0;
            if let Some(prior) = glow.split_priors.get(l) {
                let part = Part::Prior(prior.given(labels)?);
                visit(
                    format!("levels.{l}.split.prior"),
                    part,
                    &y.narrow(1, half, half)?,
                );
            }
            y = y.narrow(1, 0, half)?;
        }
        visit(format!("levels.{l}"), Part::Level(level), &entering);
    }
    visit("prior".into(), Part::Prior(glow.prior.given(labels)?), &y);
    visit("model".into(), Part::Model(glow.given(labels)), x);
    Ok(visits)
}

#[derive(Default)]
struct Scales {
    condition: Option<f64>,
    actnorm: Option<Range>,
    conditional: Option<Range>,
}

impl Visit<'_> {
    fn bijection(&self) -> &dyn Bijection {
        match &self.part {
            Part::Step(step, _) => *step,
            Part::Conv(conv) => *conv,
            Part::Split(split, _) => *split,
            Part::Level(level) => *level,
            Part::Prior(prior) => prior,
            Part::Model(model) => model,
        }
    }

    fn round_trip(&self) -> Result<f64> {
        let (y, _) = self.bijection().forward(&self.x)?;
        match self.bijection().inverse(&y) {
            Ok(x) => Ok(check::distance(&x, &self.x)?),
            // A matrix without an inverse is a finding, not a failure to measure.
            Err(_) => Ok(f64::INFINITY),
        }
    }

    fn scales(&self) -> Result<Scales> {
        let x = &self.x;
        Ok(match &self.part {
            Part::Step(step, moved) => {
                let mixed = step.conv1x1.forward(&step.actnorm.forward(x)?.0)?.0;
                Scales {
                    condition: Some(condition(&step.conv1x1)?),
                    actnorm: Some(Range::of(step.actnorm.log_scale())?),
                    conditional: Some(log_scale(&step.coupling, &mixed, moved, moved)?),
                }
            }
            Part::Conv(conv) => Scales {
                condition: Some(condition(conv)?),
                ..Scales::default()
            },
            Part::Split(split, taken_out) => {
                let (half, channels) = (x.dim(1)? as u32 / 2, x.dim(1)? as u32);
                let leaving: Vec<u32> = (half..channels).collect();
                Scales {
                    conditional: Some(log_scale(*split, x, taken_out, &leaving)?),
                    ..Scales::default()
                }
            }
            Part::Prior(prior) => {
                let all: Vec<u32> = (0..x.dim(1)? as u32).collect();
                Scales {
                    conditional: Some(log_scale(prior, x, &all, &all)?),
                    ..Scales::default()
                }
            }
            Part::Level(_) | Part::Model(_) => Scales::default(),
        })
    }
}

fn condition(conv: &InvertibleConv1x1) -> candle_core::Result<f64> {
    Ok(linalg::condition(&conv.weight()?.to_vec2()?))
}

/// ln of the scales by which a bijection takes x in the channels `moved` to y in the channels `to`, where
/// y = s ⊙ x + t and the other channels decide on s and t.
///
/// They are measured, y of ones − y of zeros, and not asked for: the layer's own account of its scale is what
/// is in question.
fn log_scale(
    bijection: &dyn Bijection,
    x: &Tensor,
    moved: &[u32],
    to: &[u32],
) -> candle_core::Result<Range> {
    let channels = x.dim(1)?;
    let moves = (0..channels as u32).map(|channel| f64::from(u8::from(moved.contains(&channel))));
    let ones = Tensor::from_iter(moves, x.device())?.reshape((1, channels, 1, 1))?;
    let zeros = x.broadcast_mul(&(1.0 - &ones)?)?;
    let to = Tensor::new(to, x.device())?;
    let y = |x: &Tensor| bijection.forward(x)?.0.index_select(&to, 1);
    let scale = (y(&zeros.broadcast_add(&ones)?)? - y(&zeros)?)?;
    Range::of(&scale.log()?)
}
