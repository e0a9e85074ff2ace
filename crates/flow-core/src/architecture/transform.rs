//! Transforms of an architecture.

use crate::{
    Additive, Affine, CircularShift, IntervalSpline, MonotonicNetwork, Order, PerChannel, Result,
    ScaleMap, Spline, Transform,
};

/// A [`Transform`] that architectures know.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)
)]
pub enum TransformKind {
    /// [`Additive`].
    Additive,
    /// [`Affine`].
    Affine {
        /// Map from the network's output to the scale.
        scale: ScaleMap,
        /// Order of shift and scale.
        order: Order,
    },
    /// [`Spline`].
    Spline(Spline),
    /// [`IntervalSpline`], also of angles.
    IntervalSpline(IntervalSpline),
    /// [`CircularShift`].
    CircularShift(CircularShift),
    /// [`MonotonicNetwork`].
    MonotonicNetwork(MonotonicNetwork),
    /// [`PerChannel`]: transforms with the indices of their channels.
    PerChannel {
        /// The transforms.
        groups: Vec<(TransformKind, Vec<usize>)>,
    },
}

impl TransformKind {
    pub(super) fn transform(&self) -> Result<Box<dyn Transform>> {
        Ok(match self {
            Self::Additive => Box::new(Additive),
            Self::Affine { scale, order } => Box::new(Affine(*scale, *order)),
            Self::Spline(spline) => Box::new(*spline),
            Self::IntervalSpline(spline) => Box::new(*spline),
            Self::CircularShift(shift) => Box::new(*shift),
            Self::MonotonicNetwork(network) => Box::new(*network),
            Self::PerChannel { groups } => {
                let groups = groups.iter().map(|(kind, channels)| {
                    let transform = kind.transform()?;
                    Ok((transform, channels.clone()))
                });
                Box::new(PerChannel::new(groups.collect::<Result<_>>()?)?)
            }
        })
    }

    /// Parameters of each number, before any of them is made; 0 if there is no such transform.
    #[cfg(feature = "file")]
    pub(super) fn parameters(&self) -> usize {
        self.transform()
            .map_or(0, |transform| transform.parameters())
    }
}
