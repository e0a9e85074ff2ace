//! Measurements of each layer: the error of its inverse, and its scales.

use crate::Result;
use crate::conventions::{Conventions, Half};
use crate::model::Glow;
use crate::part::Part;
use candle_core::{DType, Tensor};
use flow_core::train::Data;
use flow_core::{Bijection, Chain, InvertibleConv1x1, check, linalg};

/// One layer of a model on real images.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Prefix of its parameters, such as `levels.0.steps.3`. A level follows its own layers, and
    /// `model` is the last.
    pub name: String,
    /// The largest |inverse(forward(x)) − x| relative to 1 + the largest |x|, in f32. Infinite if
    /// the layer is singular.
    pub round_trip_f32: f64,
    /// The same in f64.
    pub round_trip_f64: f64,
    /// Condition number of a 1×1 convolution: its largest singular value over the smallest.
    pub condition: Option<f64>,
    /// ln of the scales of a step's ActNorm.
    pub actnorm_log_scale: Option<Range>,
    /// ln of the scales that a step, a split or a prior gives to these images.
    pub log_scale: Option<Range>,
}

/// Smallest and largest number; both are NaN if any number is.
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

/// Measures every layer of a model in f32 and in f64. The images x `[B, C, H, W]` are in model
/// space, in these types.
pub(super) fn measure(single: (&Glow, &Data), double: (&Glow, &Data)) -> Result<Vec<Layer>> {
    let with_contexts = |(glow, data): (&Glow, &Data)| glow.with_contexts(data.clone());
    let contexts = [with_contexts(single)?, with_contexts(double)?];
    let (in_f32, in_f64) = (
        visits(single.0, &contexts[0])?,
        visits(double.0, &contexts[1])?,
    );
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

/// A layer, under the conditions of the images, and its input.
struct Visit<'a> {
    name: String,
    map: Box<dyn Bijection + 'a>,
    x: Tensor,
    scaling: Scaling<'a>,
}

/// The kind of a layer, which determines its scales.
enum Scaling<'a> {
    /// A part of a level, the conditions of the images, and the channels that it transforms.
    Part(&'a Part, &'a Data, Vec<u32>),
    Prior,
    /// A level, or the model, whose layers have the scales.
    Whole,
}

/// Layers found so far, and the images with their conditions.
struct Visits<'a> {
    data: &'a Data,
    found: Vec<Visit<'a>>,
}

impl<'a> Visits<'a> {
    fn push(
        &mut self,
        name: String,
        map: Box<dyn Bijection + 'a>,
        x: &Tensor,
        scaling: Scaling<'a>,
    ) {
        let x = x.clone();
        self.found.push(Visit {
            name,
            map,
            x,
            scaling,
        });
    }

    /// Adds the parts of level `l` on its input `x`, and returns the output of the last.
    fn push_parts(
        &mut self,
        l: usize,
        level: &'a Chain<Part>,
        conventions: Conventions,
        x: &Tensor,
    ) -> Result<Tensor> {
        let (mut y, mut steps) = (x.clone(), 0);
        for part in level.parts() {
            let map = self.data.given(part)?;
            let next = map.forward(&y)?.0;
            let named = match part {
                Part::Squeeze(_) | Part::Mixing(_) | Part::Coupling(_) => None,
                Part::Step(_) => Some(format!("steps.{steps}")),
                Part::Conv1x1(_) => Some("conv1x1".into()),
                Part::Split(_) => Some("split".into()),
            };
            if let Some(name) = named {
                let moved = moved(conventions, part, steps, y.dim(1)?);
                let scaling = Scaling::Part(part, self.data, moved);
                self.push(format!("levels.{l}.{name}"), map, &y, scaling);
            }
            steps += usize::from(matches!(part, Part::Step(_)));
            y = next;
        }
        Ok(y)
    }
}

/// Every layer of a model, in the order in which data pass.
fn visits<'a>(glow: &'a Glow, data: &'a Data) -> Result<Vec<Visit<'a>>> {
    let found = Vec::new();
    let mut visits = Visits { data, found };
    let levels = glow.levels().levels();
    let mut x = data.samples().clone();
    for (l, (level, prior)) in levels.iter().zip(glow.priors().levels()).enumerate() {
        let y = visits.push_parts(l, level, glow.config().conventions, &x)?;
        let half = y.dim(1)? / 2;
        let prior = prior.as_ref().map(|prior| data.given(prior)).transpose()?;
        let whole = data.given(level)?;
        let name = format!("levels.{l}");
        if l + 1 == levels.len() {
            visits.push(name, whole, &x, Scaling::Whole);
            if let Some(prior) = prior {
                visits.push("prior".into(), prior, &y, Scaling::Prior);
            }
        } else {
            if let Some(prior) = prior {
                let latent = y.narrow(1, half, half)?;
                visits.push(
                    format!("{name}.split.prior"),
                    prior,
                    &latent,
                    Scaling::Prior,
                );
            }
            visits.push(name, whole, &x, Scaling::Whole);
        }
        x = y.narrow(1, 0, half)?;
    }
    let model = data.given(glow.bijection())?;
    visits.push("model".into(), model, data.samples(), Scaling::Whole);
    Ok(visits.found)
}

/// The channels of `channels` that a part transforms: those that a coupling does not pass, or that
/// a split factors out.
fn moved(conventions: Conventions, part: &Part, step: usize, channels: usize) -> Vec<u32> {
    if let Part::Split(_) = part {
        let half = channels / 2;
        let first = match conventions.split_keeps {
            Half::First => half,
            Half::Second => 0,
        };
        return (first..first + half)
            .map(|channel| channel as u32)
            .collect();
    }
    let passing = conventions.passing(step);
    passing.order(channels).split_off(passing.count(channels))
}

#[derive(Default)]
struct Scales {
    condition: Option<f64>,
    actnorm: Option<Range>,
    conditional: Option<Range>,
}

impl Visit<'_> {
    fn round_trip(&self) -> Result<f64> {
        let (y, _) = self.map.forward(&self.x)?;
        match self.map.inverse(&y) {
            Ok(x) => Ok(check::distance(&x, &self.x)?),
            // A matrix without an inverse is a finding, not a failure to measure.
            Err(_) => Ok(f64::INFINITY),
        }
    }

    fn scales(&self) -> Result<Scales> {
        match &self.scaling {
            Scaling::Part(part, data, moved) => scales(part, data, moved, &self.x),
            Scaling::Prior => {
                let all: Vec<u32> = (0..self.x.dim(1)? as u32).collect();
                Ok(Scales {
                    conditional: Some(log_scale(&*self.map, &self.x, &all, &all)?),
                    ..Scales::default()
                })
            }
            Scaling::Whole => Ok(Scales::default()),
        }
    }
}

/// Scales of a part of a level on its input `x`.
fn scales(part: &Part, data: &Data, moved: &[u32], x: &Tensor) -> Result<Scales> {
    let mut found = Scales::default();
    match part {
        Part::Squeeze(_) => {}
        Part::Step(step) => {
            let mut x = x.clone();
            for part in step.parts() {
                let of_part = scales(part, data, moved, &x)?;
                found = Scales {
                    condition: found.condition.or(of_part.condition),
                    actnorm: found.actnorm.or(of_part.actnorm),
                    conditional: found.conditional.or(of_part.conditional),
                };
                x = data.given(part)?.forward(&x)?.0;
            }
        }
        Part::Mixing(mixing) => {
            found.condition = Some(condition(&mixing.conv1x1)?);
            found.actnorm = Some(Range::of(mixing.actnorm.log_scale())?);
        }
        Part::Coupling(coupling) => {
            let coupling = data.given(coupling)?;
            found.conditional = Some(log_scale(&*coupling, x, moved, moved)?);
        }
        Part::Conv1x1(conv) => found.condition = Some(condition(conv)?),
        Part::Split(split) => {
            let channels = x.dim(1)? as u32;
            let leaving: Vec<u32> = (channels / 2..channels).collect();
            found.conditional = Some(log_scale(split, x, moved, &leaving)?);
        }
    }
    Ok(found)
}

fn condition(conv: &InvertibleConv1x1) -> candle_core::Result<f64> {
    Ok(linalg::condition(&conv.weight()?.to_vec2()?))
}

/// ln of the scales of a bijection y = s ⊙ x + t, from the channels `moved` of x to the channels
/// `to` of y. The other channels determine s and t.
///
/// The scales are measured, as y of ones − y of zeros, because the layer's own account is under
/// test.
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
