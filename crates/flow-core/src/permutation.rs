//! Channels in another order: y[:, i] = x[:, order[i]], log_det = 0.

use crate::{Bijection, Result, random};
use candle_core::{DType, Device, Tensor, bail};

/// A fixed permutation of the channels of `[B, C, …]`, or of the numbers of vectors `[B, D]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permutation {
    order: Vec<u32>,
    inverse: Vec<u32>,
}

impl Permutation {
    /// Channel i of the result is channel `order[i]` of the input.
    ///
    /// # Errors
    /// If `order` does not name every channel once.
    pub fn new(order: Vec<u32>) -> Result<Self> {
        let mut inverse = vec![None; order.len()];
        for (place, &channel) in (0..).zip(&order) {
            match inverse.get_mut(channel as usize) {
                Some(free @ None) => *free = Some(place),
                _ => bail!(
                    "permutation: {order:?} does not name each of 0..{} once",
                    order.len()
                ),
            }
        }
        let inverse = inverse.into_iter().flatten().collect();
        Ok(Self { order, inverse })
    }

    /// The last channel first.
    pub fn reverse(channels: usize) -> Self {
        let order = (0..channels as u32).rev().collect::<Vec<_>>();
        Self {
            inverse: order.clone(),
            order,
        }
    }

    /// A random order, the same for the same `seed`.
    pub fn random(channels: usize, seed: u64) -> Result<Self> {
        let keys = random::uniform(seed, channels, DType::F64, &Device::Cpu)?.to_vec1::<f64>()?;
        let mut order = (0..channels as u32).collect::<Vec<_>>();
        order.sort_by(|&a, &b| keys[a as usize].total_cmp(&keys[b as usize]));
        Self::new(order)
    }
}

impl Bijection for Permutation {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let log_det = Tensor::zeros(x.dim(0)?, x.dtype(), x.device())?;
        Ok((select(x, &self.order)?, log_det))
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        select(y, &self.inverse)
    }
}

fn select(x: &Tensor, order: &[u32]) -> Result<Tensor> {
    let channels = x.dim(1)?;
    if channels != order.len() {
        bail!(
            "permutation: {channels} channels cannot be put into an order of {}",
            order.len()
        );
    }
    x.contiguous()?
        .index_select(&Tensor::new(order, x.device())?, 1)
}
