//! Channels in another order, whose indices are copied to a device once.

use crate::ops::reorder::{Order, reorder};
use crate::{Result, shape, transfer};
use candle_core::{DType, Tensor, bail};
use std::sync::OnceLock;

/// Channel i of the result is channel `places[i]` of the input.
#[derive(Clone, Debug)]
pub(crate) struct Reordering {
    order: Order,
    on_device: OnceLock<Tensor>,
}

impl Reordering {
    /// `places` is a permutation of the channels.
    pub(crate) fn new(places: Vec<u32>) -> Self {
        let mut inverse = vec![0; places.len()];
        for (place, &channel) in (0..).zip(&places) {
            inverse[channel as usize] = place;
        }
        Self::of_order(Order {
            places: places.into(),
            inverse: inverse.into(),
        })
    }

    fn of_order(order: Order) -> Self {
        Self {
            order,
            on_device: OnceLock::new(),
        }
    }

    /// The inverse, which puts the channels back.
    pub(crate) fn inverse(&self) -> Self {
        Self::of_order(Order {
            places: self.order.inverse.clone(),
            inverse: self.order.places.clone(),
        })
    }

    /// Number of channels.
    pub(crate) fn channels(&self) -> usize {
        self.order.places.len()
    }

    /// `x` `[B, C, …]` reordered; `x` itself for the identity.
    pub(crate) fn of(&self, x: &Tensor) -> Result<Tensor> {
        if self.order.places.is_sorted() {
            return Ok(x.clone());
        }
        if let Some(reordered) = reorder(x, &self.order) {
            return reordered;
        }
        let there = self.on_device.get();
        if let Some(places) = there.filter(|places| places.device().same_device(x.device())) {
            return x.contiguous()?.index_select(places, 1);
        }
        let (places, count) = (self.order.places.to_vec(), self.channels());
        let places = transfer::upload(places, count, DType::U32, x.device())?;
        self.on_device.get_or_init(|| places.clone());
        x.contiguous()?.index_select(&places, 1)
    }
}

impl PartialEq for Reordering {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Reordering {}

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
        let x = self.there.of(x)?;
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
        self.back.of(&Tensor::cat(parts, 1)?)
    }
}
