//! Channels in another order, whose indices are copied to a device once.

use crate::{Result, transfer};
use candle_core::{DType, Tensor};
use std::sync::OnceLock;

/// Channel i of the result is channel `places[i]` of the input.
#[derive(Clone, Debug)]
pub(crate) struct Reordering {
    places: Vec<u32>,
    on_device: OnceLock<Tensor>,
}

impl Reordering {
    /// `places` is a permutation of the channels.
    pub(crate) fn new(places: Vec<u32>) -> Self {
        Self {
            places,
            on_device: OnceLock::new(),
        }
    }

    /// The inverse, which puts the channels back.
    pub(crate) fn inverse(&self) -> Self {
        let mut places = vec![0; self.places.len()];
        for (place, &channel) in (0..).zip(&self.places) {
            places[channel as usize] = place;
        }
        Self::new(places)
    }

    /// Number of channels.
    pub(crate) fn channels(&self) -> usize {
        self.places.len()
    }

    /// `x` `[B, C, …]` reordered; `x` itself for the identity.
    pub(crate) fn of(&self, x: &Tensor) -> Result<Tensor> {
        if self.places.is_sorted() {
            return Ok(x.clone());
        }
        let there = self.on_device.get();
        if let Some(places) = there.filter(|places| places.device().same_device(x.device())) {
            return x.contiguous()?.index_select(places, 1);
        }
        let (places, count) = (self.places.clone(), self.channels());
        let places = transfer::upload(places, count, DType::U32, x.device())?;
        self.on_device.get_or_init(|| places.clone());
        x.contiguous()?.index_select(&places, 1)
    }
}

impl PartialEq for Reordering {
    fn eq(&self, other: &Self) -> bool {
        self.places == other.places
    }
}

impl Eq for Reordering {}
