//! Which channels of a coupling pass.

use crate::Result;
use candle_core::Tensor;

/// Which of C channels pass a coupling unchanged, in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    /// How many pass.
    pub fn count(self, channels: usize) -> usize {
        match self {
            Self::FirstHalf | Self::SecondHalf | Self::Odd => channels / 2,
            Self::Even => channels.div_ceil(2),
        }
    }

    /// The pattern of the others, as far as there are as many.
    #[must_use]
    pub fn complement(self) -> Self {
        match self {
            Self::FirstHalf => Self::SecondHalf,
            Self::SecondHalf => Self::FirstHalf,
            Self::Even => Self::Odd,
            Self::Odd => Self::Even,
        }
    }

    /// All channels, those that pass first.
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

    /// `[B, C, H, W]` with the channels that pass first.
    pub(super) fn arrange(self, x: &Tensor) -> Result<Tensor> {
        select(x, &self.order(x.dim(1)?))
    }

    /// What [`arrange`](Self::arrange) has arranged, as it was.
    pub(super) fn restore(self, x: &Tensor) -> Result<Tensor> {
        let order = self.order(x.dim(1)?);
        let mut places = vec![0; order.len()];
        for (place, &channel) in order.iter().enumerate() {
            places[channel as usize] = place as u32;
        }
        select(x, &places)
    }
}

fn select(x: &Tensor, channels: &[u32]) -> Result<Tensor> {
    if channels.is_sorted() {
        return Ok(x.clone());
    }
    let channels = Tensor::new(channels, x.device())?;
    x.contiguous()?.index_select(&channels, 1)
}
