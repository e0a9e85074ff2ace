//! Angles in a flow: splines that close to circles (Rezende et al. 2020, arXiv:2002.02428).
//!
//! An autoregressive flow moves each column by a transform of its own, circular for angles. At its
//! end angles are uniform on the circle, which a logit maps to the logistic base: so densities are
//! continuous where an angle wraps.

use std::f64::consts::{PI, TAU};

use flow_core::{
    Architecture, Base, CircularShift, ColumnMap, IntervalSpline, Layer, TransformKind,
};
use flow_table::{Kind, Schema};

/// The circle seems so much longer at its ends to the logit, which is finite there.
const MARGIN: f64 = 1e-4;

/// True if a column is an angle.
pub(super) fn has_angles(schema: &Schema) -> bool {
    let mut columns = schema.columns.iter();
    columns.any(|column| matches!(column.kind, Kind::Angle { .. }))
}

/// The autoregressive spline flow `architecture`, which begins with a whitening, with circular
/// transforms for the angles of the schema.
pub(super) fn close(mut architecture: Architecture, schema: &Schema) -> Architecture {
    let angles = (0..schema.columns.len())
        .filter(|&index| matches!(schema.columns[index].kind, Kind::Angle { .. }))
        .collect::<Vec<_>>();
    let mut is_reversed = false;
    let mut shift = None;
    for (_, layer) in &mut architecture.layers {
        match layer {
            Layer::Whiten { mean, log_std } => turn(schema, mean, log_std),
            Layer::Reverse => is_reversed = !is_reversed,
            Layer::Autoregressive {
                transform, network, ..
            } => {
                let circle = TransformKind::IntervalSpline(IntervalSpline::circle());
                let places = places(&angles, schema.columns.len(), is_reversed);
                *transform = mixed(circle, transform.clone(), places);
                shift.get_or_insert(*network);
            }
            _ => {}
        }
    }
    let Some(network) = shift else {
        return architecture;
    };
    // Shifts wrap: rounding may leave the circle before the first spline, and behind the logit.
    let shifts = |is_reversed| Layer::Autoregressive {
        transform: mixed(
            TransformKind::CircularShift(CircularShift::default()),
            TransformKind::Additive,
            places(&angles, schema.columns.len(), is_reversed),
        ),
        order: None,
        network,
    };
    let first = ("first.shift".to_owned(), shifts(false));
    architecture.layers.insert(1, first);
    let last = ("last.shift".to_owned(), shifts(is_reversed));
    architecture.layers.push(last);
    let end = PI * (1.0 + MARGIN);
    let [on_circle, _] = places(&angles, schema.columns.len(), is_reversed);
    let map = |place| {
        if on_circle.contains(&place) {
            ColumnMap::Logit {
                low: -end,
                high: end,
            }
        } else {
            ColumnMap::Identity
        }
    };
    let maps = (0..schema.columns.len()).map(map).collect();
    let line = ("line".to_owned(), Layer::Columnwise { maps });
    architecture.layers.push(line);
    architecture.base = Base::Logistic;
    architecture
}

/// Places of angles and of other columns, in the order at a layer.
fn places(angles: &[usize], columns: usize, is_reversed: bool) -> [Vec<usize>; 2] {
    let place = |column: usize| {
        if is_reversed {
            columns - 1 - column
        } else {
            column
        }
    };
    let (circle, line) = (0..columns).partition::<Vec<_>, _>(|column| angles.contains(column));
    [circle, line].map(|of| of.into_iter().map(place).collect())
}

/// A transform for angles and one for the others.
fn mixed(circle: TransformKind, line: TransformKind, places: [Vec<usize>; 2]) -> TransformKind {
    let groups = [circle, line].into_iter().zip(places);
    TransformKind::PerChannel {
        groups: groups.filter(|(_, places)| !places.is_empty()).collect(),
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
