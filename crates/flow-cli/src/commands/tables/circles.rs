//! Angles in a flow: splines that close to circles (Rezende et al. 2020, arXiv:2002.02428).
//!
//! Each column moves by a transform of its own, circular for angles, whose cosine and sine are what
//! networks receive. At the end of the flow angles are uniform on the circle, which a logit maps to
//! the logistic base: so densities are continuous where an angle wraps.

use std::f64::consts::{PI, TAU};

use flow_core::{
    Architecture, Base, CircularShift, ColumnMap, IntervalSpline, Layer, Mask, Passing,
    TransformKind,
};
use flow_table::{Column, Kind, Schema};

/// The circle seems so much longer at its ends to the logit, which is finite there.
const MARGIN: f64 = 1e-4;

/// Columns that pass through couplings, in turn: angles admit no linear maps between these, so the
/// patterns change instead.
const PASSING: [Passing; 4] = [
    Passing::FirstHalf,
    Passing::SecondHalf,
    Passing::Even,
    Passing::Odd,
];

/// True if a column is an angle.
pub(super) fn has_angles(schema: &Schema) -> bool {
    Columns::of(schema).is_angle.contains(&true)
}

/// The spline flow `architecture`, by couplings or autoregressive, which begins with a whitening,
/// with circular transforms for the angles of the schema.
pub(super) fn close(architecture: Architecture, schema: &Schema) -> Architecture {
    let mut columns = Columns::of(schema);
    let mut patterns = PASSING.into_iter().cycle();
    let spline = TransformKind::IntervalSpline(IntervalSpline::circle());
    let (mut layers, mut last) = (Vec::new(), Vec::new());
    for (name, mut layer) in architecture.layers {
        match &mut layer {
            Layer::Whiten { mean, log_std } => turn(schema, mean, log_std),
            Layer::LuLinear => continue,
            Layer::Reverse => columns.is_angle.reverse(),
            Layer::Coupling { passing, .. } => {
                *passing = patterns.next().unwrap_or_default().into();
            }
            _ => {}
        }
        // Shifts wrap: rounding may leave the circle before the first spline, and behind the logit.
        let shifts = columns.shifts(&layer);
        if !shifts.is_empty() {
            if last.is_empty() {
                layers.extend(named("first", &shifts));
            }
            last = named("last", &shifts).collect();
        }
        layers.push((name, columns.closed(layer, &spline)));
    }
    layers.extend(last);
    let end = PI * (1.0 + MARGIN);
    let map = |&is_angle: &bool| {
        if is_angle {
            ColumnMap::Logit {
                low: -end,
                high: end,
            }
        } else {
            ColumnMap::Identity
        }
    };
    let maps = columns.is_angle.iter().map(map).collect();
    layers.push(("line".to_owned(), Layer::Columnwise { maps }));
    Architecture {
        layers,
        base: Base::Logistic,
        ..architecture
    }
}

/// Layers with names for their parameters.
fn named(place: &str, layers: &[Layer]) -> impl Iterator<Item = (String, Layer)> {
    let name =
        move |(index, layer): (usize, &Layer)| (format!("{place}.shift.{index}"), layer.clone());
    layers.iter().enumerate().map(name)
}

/// The columns in the order at a layer.
struct Columns {
    is_angle: Vec<bool>,
}

impl Columns {
    fn of(schema: &Schema) -> Self {
        let columns = schema.columns.iter();
        let is_angle = |column: &Column| matches!(column.kind, Kind::Angle { .. });
        Self {
            is_angle: columns.map(is_angle).collect(),
        }
    }

    /// The layer with the transform `circle` for angles, whose cosine and sine its network receives;
    /// itself if it has no network.
    fn closed(&self, mut layer: Layer, circle: &TransformKind) -> Layer {
        match &mut layer {
            Layer::Coupling {
                transform,
                passing: Mask::Pattern(passing),
                ..
            } => {
                let order = passing.order(self.is_angle.len());
                let moved = &order[passing.count(order.len())..];
                self.mix(circle, transform, moved);
            }
            Layer::Autoregressive { transform, .. } => {
                let order = (0..self.is_angle.len() as u32).collect::<Vec<_>>();
                self.mix(circle, transform, &order);
            }
            _ => return layer,
        }
        let angles = (0..self.is_angle.len()).filter(|&place| self.is_angle[place]);
        Layer::Periodic {
            angles: angles.collect(),
            of: Box::new(layer),
        }
    }

    /// Lets angles among the columns `moved` move by `circle`, and the others as before.
    fn mix(&self, circle: &TransformKind, transform: &mut TransformKind, moved: &[u32]) {
        let is_angle = |&place: &usize| self.is_angle[moved[place] as usize];
        let (on_circle, on_line) = (0..moved.len()).partition::<Vec<_>, _>(is_angle);
        if !on_circle.is_empty() {
            let groups = [(circle.clone(), on_circle), (transform.clone(), on_line)];
            let groups = groups.into_iter().filter(|(_, places)| !places.is_empty());
            *transform = TransformKind::PerChannel {
                groups: groups.collect(),
            };
        }
    }

    /// Layers that shift every column once, with networks as those of `layer`; none if it has no
    /// network.
    fn shifts(&self, layer: &Layer) -> Vec<Layer> {
        let circle = TransformKind::CircularShift(CircularShift::default());
        let layers = match *layer {
            Layer::Coupling { network, .. } => {
                let coupling = |passing: Passing| Layer::Coupling {
                    transform: TransformKind::Additive,
                    passing: passing.into(),
                    network,
                };
                vec![coupling(Passing::FirstHalf), coupling(Passing::SecondHalf)]
            }
            Layer::Autoregressive { network, .. } => vec![Layer::Autoregressive {
                transform: TransformKind::Additive,
                order: None,
                network,
            }],
            _ => Vec::new(),
        };
        layers
            .into_iter()
            .map(|layer| self.closed(layer, &circle))
            .collect()
    }
}

/// Lets the whitening turn one turn of each angle to [−π, π).
fn turn(schema: &Schema, mean: &mut [f64], log_std: &mut [f64]) {
    for (index, column) in schema.columns.iter().enumerate() {
        if let Kind::Angle { low, period } = column.kind {
            mean[index] = low + period / 2.0;
            log_std[index] = (period / TAU).ln();
        }
    }
}
