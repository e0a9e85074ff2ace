//! Columns of a table, their kinds, and the numbers that stand for their cells.

use serde::{Deserialize, Serialize};

/// Whole numbers up to here have room for noise behind the point in 32 bits.
pub(crate) const LARGEST_INTEGER: f64 = 1_048_576.0;

/// Columns that a flow models, and columns that it is conditioned on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// Columns whose density is modelled, in the order of the flow's features.
    pub columns: Vec<Column>,
    /// Columns that are given, in the order of the flow's context.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<Column>,
}

/// A column, with statistics of the rows that a flow was fitted to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// The name in the table.
    pub name: String,
    /// The kind of its values.
    pub kind: Kind,
    /// The smallest number, or 0 for the first level of a category.
    pub low: f64,
    /// The largest number, or the index of the last level.
    pub high: f64,
    /// The mean of the numbers, or of the levels' indices.
    pub mean: f64,
    /// The standard deviation of the same numbers.
    pub std: f64,
}

/// Values that a column can hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Kind {
    /// Any number.
    Real,
    /// Numbers above 0.
    Positive,
    /// Numbers from `low` to `high`.
    Bounded {
        /// The lower bound.
        low: f64,
        /// The upper bound.
        high: f64,
    },
    /// Directions: `low` and `low + period` are the same.
    Angle {
        /// The smallest angle.
        low: f64,
        /// One turn: 2π in radians, 360 in degrees, 24 in hours of a day.
        period: f64,
    },
    /// Whole numbers.
    Integer,
    /// One of several texts, whose index stands for it.
    Category {
        /// The texts, in order.
        levels: Vec<String>,
    },
}

impl Kind {
    /// One word for people.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Real => "real",
            Self::Positive => "positive",
            Self::Bounded { .. } => "bounded",
            Self::Angle { .. } => "angle",
            Self::Integer => "integer",
            Self::Category { .. } => "category",
        }
    }

    /// A number of this kind.
    ///
    /// # Errors
    /// The rest of a sentence that begins with a number of another kind.
    pub fn check(&self, number: f64) -> Result<f64, String> {
        let fits = match self {
            _ if !number.is_finite() || number.abs() > f64::from(f32::MAX) => false,
            Self::Real | Self::Category { .. } => true,
            Self::Positive => number > 0.0,
            Self::Bounded { low, high } => (*low..=*high).contains(&number),
            Self::Angle { low, period } => (*low..=low + period).contains(&number),
            Self::Integer => number.fract() == 0.0 && number.abs() <= LARGEST_INTEGER,
        };
        if fits {
            return Ok(number);
        }
        Err(match self {
            _ if !number.is_finite() => "is not a finite number".to_owned(),
            Self::Positive if number <= 0.0 => "is not above 0".to_owned(),
            Self::Bounded { low, high } => format!("does not lie within {low}..{high}"),
            Self::Angle { low, period } => {
                format!("is not an angle within {low}..{}", low + period)
            }
            Self::Integer if number.fract() != 0.0 => "is not a whole number".to_owned(),
            Self::Integer => format!("is beyond ±{LARGEST_INTEGER}, the range of whole numbers"),
            _ => "is beyond ±3.4e38, the range of numbers of 32 bits".to_owned(),
        })
    }

    /// True if the numbers have a density only with noise of their own.
    pub fn is_discrete(&self) -> bool {
        matches!(self, Self::Integer | Self::Category { .. })
    }
}

impl Column {
    /// Numbers of the context for this column: one for each level, sine and cosine, or the number.
    pub fn context_size(&self) -> usize {
        match &self.kind {
            Kind::Category { levels } => levels.len(),
            Kind::Angle { .. } => 2,
            _ => 1,
        }
    }

    /// The context of a value: 1 at its level, sine and cosine of an angle, the logarithm of a
    /// positive number, or the number.
    pub fn context(&self, value: f64) -> Vec<f64> {
        match &self.kind {
            Kind::Category { levels } => (0..levels.len())
                .map(|level| f64::from(u8::from(level == value as usize)))
                .collect(),
            Kind::Angle { low, period } => {
                let angle = (value - low) / period * std::f64::consts::TAU;
                vec![angle.sin(), angle.cos()]
            }
            Kind::Positive => vec![value.ln()],
            _ => vec![value],
        }
    }
}

impl Schema {
    /// Numbers of the context.
    pub fn context_size(&self) -> usize {
        self.given.iter().map(Column::context_size).sum()
    }
}
