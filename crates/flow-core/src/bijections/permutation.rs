//! Channels in another order: y[:, i] = x[:, order[i]], log_det = 0.

use crate::ops::reorder::{Reordering, reorder};
use crate::{Bijection, Result, random, shape};
use candle_core::{Tensor, bail};

/// A fixed permutation of the channels of `[B, C, …]`, or of the numbers of vectors `[B, D]`.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use flow_core::{Bijection, Permutation};
///
/// let x = Tensor::new(&[[1.0, 2.0, 3.0]], &Device::Cpu)?;
/// let (y, _) = Permutation::new(vec![2, 0, 1])?.forward(&x)?;
/// assert_eq!(y.to_vec2::<f64>()?, [[3.0, 1.0, 2.0]]);
/// # candle_core::Result::Ok(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permutation {
    order: Reordering,
    inverse: Reordering,
}

impl Permutation {
    /// Channel i of the result is channel `order[i]` of the input.
    ///
    /// # Errors
    /// If `order` is not a permutation of the channels.
    pub fn new(order: Vec<u32>) -> Result<Self> {
        let mut named = vec![false; order.len()];
        for &channel in &order {
            match named.get_mut(channel as usize) {
                Some(named @ false) => *named = true,
                _ => bail!(
                    "permutation: {order:?} is not a permutation of 0..{}",
                    order.len()
                ),
            }
        }
        Ok(Self::of(order))
    }

    /// The last channel first.
    pub fn reverse(channels: usize) -> Self {
        Self::of((0..channels as u32).rev().collect())
    }

    /// A random order, the same for the same `seed`.
    pub fn random(channels: usize, seed: u64) -> Result<Self> {
        Self::new(random::order(seed, channels))
    }

    fn of(order: Vec<u32>) -> Self {
        let order = Reordering::new(order);
        Self {
            inverse: order.inverse(),
            order,
        }
    }
}

impl Bijection for Permutation {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let y = reordered(x, &self.order)?;
        let log_det = Tensor::zeros(x.dim(0)?, x.dtype(), x.device())?;
        Ok((y, log_det))
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        reordered(y, &self.inverse)
    }
}

/// # Errors
/// If the number of channels differs.
fn reordered(x: &Tensor, order: &Reordering) -> Result<Tensor> {
    shape::channels("permutation", x, order.channels())?;
    reorder(x, order)
}
