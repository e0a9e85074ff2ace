//! Values of a column that is written.

use crate::{Column, Kind};

/// Values of one column.
#[derive(Clone, Debug, PartialEq)]
pub enum Series {
    /// Numbers.
    Float(Vec<f32>),
    /// Whole numbers.
    Integer(Vec<i64>),
    /// Texts.
    Text(Vec<String>),
}

impl Series {
    /// No values, in the form of those of a column.
    pub fn empty(column: &Column) -> Self {
        match column.kind {
            Kind::Integer => Self::Integer(Vec::new()),
            Kind::Category { .. } => Self::Text(Vec::new()),
            _ => Self::Float(Vec::new()),
        }
    }

    /// The values of a column that finite `numbers` stand for: whole numbers and levels by rounding
    /// down, angles within one turn, and none of them beyond the column's bounds.
    pub fn decode(column: &Column, numbers: impl IntoIterator<Item = f32>) -> Self {
        let numbers = numbers.into_iter();
        let floor = |number: f32| f64::from(number).floor().clamp(column.low, column.high);
        match &column.kind {
            Kind::Real => Self::Float(numbers.collect()),
            Kind::Positive => Self::Float(numbers.map(|x| x.max(f32::MIN_POSITIVE)).collect()),
            Kind::Bounded { low, high } => {
                let within = |x: f32| x.clamp(*low as f32, *high as f32);
                Self::Float(numbers.map(within).collect())
            }
            Kind::Angle { low, period } => {
                let turned = |x: f32| (f64::from(x) - low).rem_euclid(*period) + low;
                Self::Float(numbers.map(|x| turned(x) as f32).collect())
            }
            Kind::Integer => Self::Integer(numbers.map(|x| floor(x) as i64).collect()),
            Kind::Category { levels } => {
                Self::Text(numbers.map(|x| levels[floor(x) as usize].clone()).collect())
            }
        }
    }

    /// The number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::Float(values) => values.len(),
            Self::Integer(values) => values.len(),
            Self::Text(values) => values.len(),
        }
    }

    /// True without values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
