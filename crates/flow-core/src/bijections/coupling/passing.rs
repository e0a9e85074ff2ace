//! Channels that pass a coupling unchanged.

use crate::Result;
use crate::ops::reorder::{Reordering, reorder};
use candle_core::Tensor;
use std::sync::{Arc, OnceLock};

/// The channels, of C, that pass a coupling unchanged, in order. For other patterns:
/// [`Coupling::masked`](crate::Coupling::masked).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
pub enum Passing {
    /// The first ⌊C/2⌋: Glow's.
    #[default]
    FirstHalf,
    /// The last ⌊C/2⌋.
    SecondHalf,
    /// Channels 0, 2, 4, …
    Even,
    /// Channels 1, 3, 5, …
    Odd,
}

impl Passing {
    /// Number of channels that pass.
    pub fn count(self, channels: usize) -> usize {
        match self {
            Self::FirstHalf | Self::SecondHalf | Self::Odd => channels / 2,
            Self::Even => channels.div_ceil(2),
        }
    }

    /// The complementary pattern; the two have equal counts where C is even.
    #[must_use]
    pub fn complement(self) -> Self {
        match self {
            Self::FirstHalf => Self::SecondHalf,
            Self::SecondHalf => Self::FirstHalf,
            Self::Even => Self::Odd,
            Self::Odd => Self::Even,
        }
    }

    /// Indices of all channels, the passing ones first.
    pub fn order(self, channels: usize) -> Vec<u32> {
        let count = self.count(channels);
        let passes = |channel: &u32| match self {
            Self::FirstHalf => (*channel as usize) < count,
            Self::SecondHalf => (*channel as usize) >= channels - count,
            Self::Even => channel.is_multiple_of(2),
            Self::Odd => !channel.is_multiple_of(2),
        };
        let (passing, others): (Vec<_>, Vec<_>) = (0..channels as u32).partition(passes);
        passing.into_iter().chain(others).collect()
    }
}

/// The passing channels of a coupling.
#[derive(Clone)]
enum Pattern {
    Regular(Passing),
    /// True for the channels that pass.
    Mask(Arc<[bool]>),
}

/// Puts the passing channels first, and back.
#[derive(Clone)]
pub(super) struct Arrangement {
    pattern: Pattern,
    /// Both reorderings, once the number of channels is known.
    orders: Arc<OnceLock<[Reordering; 2]>>,
}

impl Arrangement {
    pub(super) fn new(passing: Passing) -> Self {
        Self {
            pattern: Pattern::Regular(passing),
            orders: Arc::default(),
        }
    }

    pub(super) fn masked(mask: &[bool]) -> Self {
        Self {
            pattern: Pattern::Mask(mask.into()),
            orders: Arc::default(),
        }
    }

    /// Number of channels, if it is fixed.
    pub(super) fn channels(&self) -> Option<usize> {
        match &self.pattern {
            Pattern::Regular(_) => None,
            Pattern::Mask(mask) => Some(mask.len()),
        }
    }

    /// Number of channels that pass.
    pub(super) fn count(&self, channels: usize) -> usize {
        match &self.pattern {
            Pattern::Regular(passing) => passing.count(channels),
            Pattern::Mask(mask) => mask.iter().filter(|passes| **passes).count(),
        }
    }

    /// `[B, C, …]` with the channels that pass first.
    pub(super) fn arrange(&self, x: &Tensor) -> Result<Tensor> {
        self.with_orders(x.dim(1)?, |[there, _]| reorder(x, there))
    }

    /// Undoes [`arrange`](Self::arrange).
    pub(super) fn restore(&self, x: &Tensor) -> Result<Tensor> {
        self.with_orders(x.dim(1)?, |[_, back]| reorder(x, back))
    }

    fn with_orders<T>(&self, channels: usize, work: impl FnOnce(&[Reordering; 2]) -> T) -> T {
        let make = || {
            let there = Reordering::new(match &self.pattern {
                Pattern::Regular(passing) => passing.order(channels),
                Pattern::Mask(mask) => {
                    let (passing, others): (Vec<_>, Vec<_>) =
                        (0..channels as u32).partition(|channel| mask[*channel as usize]);
                    [passing, others].concat()
                }
            });
            let back = there.inverse();
            [there, back]
        };
        let orders = self.orders.get_or_init(make);
        if orders[0].channels() == channels {
            work(orders)
        } else {
            work(&make())
        }
    }
}
