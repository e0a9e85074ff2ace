//! Fixed maps from the domains of columns to the real line.

use super::groups::Groups;
use super::{Inverse, Pointwise};
use crate::{Bijection, Result, shape};
use candle_core::Tensor;

/// The map of a column of data, for [`Columnwise`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
pub enum ColumnMap {
    /// Real numbers, and angles: y = x.
    Identity,
    /// Positive numbers: y = ln x. Multiples of a number become sums.
    Log,
    /// Positive numbers: y = ln(eˣ − 1), nearly x where x is large, which keeps units.
    InverseSoftplus,
    /// Numbers between two bounds: y = ln(x − low) − ln(high − x).
    Logit {
        /// The lower bound.
        low: f64,
        /// The upper bound.
        high: f64,
    },
    /// Real numbers: y = sign(x)·|x|^exponent; an exponent below 1 shortens both tails.
    Power {
        /// A positive number.
        exponent: f64,
    },
    /// Skewed real numbers, by the map of Yeo & Johnson: [`Pointwise::YeoJohnson`].
    YeoJohnson {
        /// Between 0 and 2; 1 is the identity.
        lambda: f64,
    },
}

impl ColumnMap {
    /// The map as a bijection; `None` for the identity.
    fn bijection(self) -> Option<Box<dyn Bijection>> {
        Some(match self {
            Self::Identity => return None,
            Self::Log => Box::new(Inverse(Pointwise::Exp)),
            Self::InverseSoftplus => Box::new(Inverse(Pointwise::Softplus)),
            Self::Logit { low, high } => Box::new(Inverse(Pointwise::Interval { low, high })),
            Self::Power { exponent } => Box::new(Pointwise::Power { exponent }),
            Self::YeoJohnson { lambda } => Box::new(Pointwise::YeoJohnson { lambda }),
        })
    }
}

/// A fixed map of each column of `[B, D]` on its own, from the domain of its data to the real line.
///
/// In front of a flow ([`Flow::after`](crate::Flow::after)) the flow sees real numbers, draws stay
/// in the domains, and densities stay in the units of the data. Numbers on or beyond the bounds of
/// their domain become infinite or NaN. O(1) a number. zuko's and torch's `CatTransform`,
/// TensorFlow Probability's `Blockwise`.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use flow_core::{Bijection, ColumnMap, Columnwise};
///
/// let maps = [ColumnMap::Identity, ColumnMap::Log, ColumnMap::Logit { low: 0.0, high: 100.0 }];
/// let x = Tensor::new(&[[-2.0, 1.0, 50.0]], &Device::Cpu)?;
/// let (y, _) = Columnwise::new(&maps)?.forward(&x)?;
/// assert_eq!(y.to_vec2::<f64>()?, [[-2.0, 0.0, 0.0]]);
/// # candle_core::Result::Ok(())
/// ```
pub struct Columnwise {
    maps: Vec<Option<Box<dyn Bijection>>>,
    groups: Groups,
}

impl Columnwise {
    /// The map of every column, in order.
    ///
    /// # Errors
    /// If there are none.
    pub fn new(columns: &[ColumnMap]) -> Result<Self> {
        let mut kinds: Vec<(ColumnMap, Vec<usize>)> = Vec::new();
        for (column, map) in columns.iter().enumerate() {
            match kinds.iter_mut().find(|(kind, _)| kind == map) {
                Some((_, places)) => places.push(column),
                None => kinds.push((*map, vec![column])),
            }
        }
        let (kinds, places): (Vec<_>, Vec<_>) = kinds.into_iter().unzip();
        Ok(Self {
            groups: Groups::new("columnwise", &places)?,
            maps: kinds.into_iter().map(ColumnMap::bijection).collect(),
        })
    }

    /// The columns of each map.
    fn split(&self, x: &Tensor) -> Result<Vec<Tensor>> {
        shape::vectors("columnwise", x, self.groups.channels())?;
        self.groups.split("columnwise", x)
    }
}

impl Bijection for Columnwise {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let mut mapped = Vec::with_capacity(self.maps.len());
        let mut total = Tensor::zeros(shape::batch("columnwise", x)?, x.dtype(), x.device())?;
        for (map, x) in self.maps.iter().zip(self.split(x)?) {
            let Some(map) = map else {
                mapped.push(x);
                continue;
            };
            let (y, log_det) = map.forward(&x)?;
            mapped.push(y);
            total = (total + log_det)?;
        }
        Ok((self.groups.join(&mapped)?, total))
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        let parts = self.maps.iter().zip(self.split(y)?);
        let mapped = parts.map(|(map, y)| match map {
            Some(map) => map.inverse(&y),
            None => Ok(y),
        });
        self.groups.join(&mapped.collect::<Result<Vec<_>>>()?)
    }
}
