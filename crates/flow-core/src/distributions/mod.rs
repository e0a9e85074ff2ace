//! Base distributions: the source of a flow's samples, and the density of its latents.

mod box_uniform;
mod conditional_gaussian;
mod diagonal_gaussian;
mod gaussian_mixture;
mod laplace;
mod logistic;
mod product;
mod standard_normal;
mod student_t;
mod tempered;
mod uniform;
mod von_mises;

pub use box_uniform::BoxUniform;
pub use conditional_gaussian::ConditionalGaussian;
pub use diagonal_gaussian::DiagonalGaussian;
pub use gaussian_mixture::GaussianMixture;
pub use laplace::Laplace;
pub use logistic::Logistic;
pub use product::Product;
pub use standard_normal::StandardNormal;
pub use student_t::StudentT;
pub(crate) use tempered::Tempered;
pub use uniform::Uniform;
pub use von_mises::VonMises;

use crate::runs::Rows;
use crate::{Result, random, shape, transfer};
use candle_core::{D, DType, Device, Shape, Tensor};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// A distribution of tensors `[B, …]` of one shape.
pub trait Distribution: Send + Sync {
    /// ln of the density at each sample of `z`, `[B]`, in nats; −∞ outside the support.
    fn log_prob(&self, z: &Tensor) -> Result<Tensor>;

    /// `log_det` + ln p(z), `[B]`. A distribution of several parts adds them one after the other.
    fn add_log_prob(&self, log_det: &Tensor, z: &Tensor) -> Result<Tensor> {
        self.log_prob(z)? + log_det
    }

    /// `count` independent draws, the same for the same `seed`.
    fn sample(&self, count: usize, seed: u64) -> Result<Tensor>;

    /// K, the size of the context that [`given`](Self::given) needs; `None` if the distribution
    /// takes no context, or one is bound already.
    fn context(&self) -> Option<usize> {
        None
    }

    /// The distribution that `context` `[B, K]` selects, one row for each sample or one for all.
    ///
    /// # Errors
    /// If the distribution takes no context, one is bound already, or its size differs.
    fn given(&self, context: &Tensor) -> Result<Arc<dyn Distribution>> {
        shape::refuse_context(context)
    }

    /// The same distribution for one step of a training, whose random parts, such as dropout, are
    /// drawn from `seed`; `None` if it has none.
    fn in_training(&self, seed: u64) -> Result<Option<Arc<dyn Distribution>>> {
        let _ = seed;
        Ok(None)
    }

    /// The same distribution for some rows of a batch, without a graph; `None` if it is the same
    /// for all rows, as without a context.
    ///
    /// # Errors
    /// If the bound context has another number of rows than the batch.
    fn frozen(&self, rows: &Rows) -> Result<Option<Arc<dyn Distribution>>> {
        let _ = rows;
        Ok(None)
    }
}

/// ln Σ eˣ over the last dimension: −∞, with a gradient of 0, where all x are −∞.
pub fn log_sum_exp(x: &Tensor) -> Result<Tensor> {
    let largest = x.detach().max_keepdim(D::Minus1)?;
    let finite = largest.abs()?.lt(f64::INFINITY)?;
    let largest = finite.where_cond(&largest, &largest.zeros_like()?)?;
    let sum = x.broadcast_sub(&largest)?.exp()?.sum_keepdim(D::Minus1)?;
    let is_zero = sum.eq(0.0)?;
    // The gradient of ln 0 would be infinite.
    let log = is_zero.where_cond(&sum.ones_like()?, &sum)?.log()?;
    let log = is_zero.where_cond(&log.affine(0.0, f64::NEG_INFINITY)?, &log)?;
    (log + largest)?.squeeze(D::Minus1)
}

/// The shape of `count` samples of the given shape.
fn batch(count: usize, sample: &[usize]) -> Vec<usize> {
    [&[count], sample].concat()
}

/// Shape, type and device of samples whose numbers are independent and equally distributed.
struct Numbers {
    shape: Shape,
    dtype: DType,
    device: Device,
}

impl Numbers {
    fn new(shape: impl Into<Shape>, dtype: DType, device: &Device) -> Self {
        Self {
            shape: shape.into(),
            dtype,
            device: device.clone(),
        }
    }

    /// Σ ln p of the numbers of each sample of `z`, `[B]`.
    fn sum(
        &self,
        who: &str,
        z: &Tensor,
        log_density: impl FnOnce(&Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        shape::samples(who, z, self.shape.dims())?;
        log_density(z)?.flatten_from(1)?.sum(1)
    }

    /// `count` samples of numbers that `draw` gives in f64.
    fn sample(
        &self,
        count: usize,
        seed: u64,
        draw: impl FnMut(&mut ChaCha8Rng) -> f64,
    ) -> Result<Tensor> {
        let shape = batch(count, self.shape.dims());
        let numbers = random::numbers(seed, shape.iter().product(), draw);
        transfer::upload(numbers, shape, self.dtype, &self.device)
    }
}
