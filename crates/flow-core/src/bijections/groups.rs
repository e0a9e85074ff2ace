//! Channels that go apart in groups.

use crate::ops::reorder::{Reordering, reorder};
use crate::{Result, shape};
use candle_core::{Tensor, bail};

/// Channels that go apart in groups, and back to their places.
#[derive(Clone, Debug)]
pub(crate) struct Groups {
    there: Reordering,
    back: Reordering,
    sizes: Vec<usize>,
}

impl Groups {
    /// # Errors
    /// If a channel below their number is in no group, or in two.
    pub(crate) fn new(who: &str, groups: &[Vec<usize>]) -> Result<Self> {
        let order = groups.concat();
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if order.is_empty() || sorted.into_iter().ne(0..order.len()) {
            bail!(
                "{who}: got groups {groups:?}, needed each channel from 0 to the last in one of them"
            );
        }
        let there = Reordering::new(order.into_iter().map(|channel| channel as u32).collect());
        Ok(Self {
            back: there.inverse(),
            there,
            sizes: groups.iter().map(Vec::len).collect(),
        })
    }

    /// Number of channels of all groups.
    pub(crate) fn channels(&self) -> usize {
        self.there.channels()
    }

    /// The channels of each group of `x` `[B, C, …]`.
    pub(crate) fn split(&self, who: &str, x: &Tensor) -> Result<Vec<Tensor>> {
        shape::channels(who, x, self.channels())?;
        let x = reorder(x, &self.there)?;
        let mut start = 0;
        let parts = self.sizes.iter().map(|&size| {
            start += size;
            let part = x.narrow(1, start - size, size)?;
            // candle copies no view of an empty tensor.
            if part.elem_count() == 0 {
                return part.zeros_like();
            }
            part.contiguous()
        });
        parts.collect()
    }

    /// The groups `[B, …]`, with every channel in its place.
    pub(crate) fn join(&self, parts: &[Tensor]) -> Result<Tensor> {
        reorder(&Tensor::cat(parts, 1)?, &self.back)
    }
}
