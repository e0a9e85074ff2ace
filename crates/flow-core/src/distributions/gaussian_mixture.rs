//! A learned mixture of Gaussians.

use super::{Distribution, log_sum_exp};
use crate::params::{Init, ParamBuilder};
use crate::{Bijection, Result, Whiten, random, shape, standard_normal_log_prob, transfer};
use candle_core::{DType, Tensor, bail};

/// A learned mixture of K Gaussians of vectors `[B, D]`, each with its own means and standard
/// deviations.
pub struct GaussianMixture {
    logits: Tensor,
    means: Tensor,
    log_stds: Tensor,
}

impl GaussianMixture {
    /// A mixture for vectors of `features` numbers. Parameters `logits`, `[K]`, zero at first,
    /// `means`, `[K, D]`, drawn from N(0, 1), and `log_stds`, `[K, D]`, zero at first.
    ///
    /// # Errors
    /// If `components` is 0.
    pub fn new(components: usize, features: usize, params: ParamBuilder) -> Result<Self> {
        if components == 0 {
            bail!("mixture: needs at least one component");
        }
        let (shape, drawn) = ((components, features), Init::Normal { std: 1.0 });
        Ok(Self {
            logits: params.get_with_hints(components, "logits", Init::Zeros)?,
            means: params.get_with_hints(shape, "means", drawn)?,
            log_stds: params.get_with_hints(shape, "log_stds", Init::Zeros)?,
        })
    }
}

impl Distribution for GaussianMixture {
    fn log_prob(&self, z: &Tensor) -> Result<Tensor> {
        let (components, features) = self.means.dims2()?;
        let batch = shape::vectors("gaussian mixture", z, features)?;
        if batch == 0 {
            return Tensor::zeros(0, z.dtype(), z.device());
        }
        let mut joint = Vec::with_capacity(components);
        for component in 0..components {
            let of = |tensor: &Tensor| tensor.narrow(0, component, 1);
            let (white, log_det) = Whiten::new(of(&self.means)?, of(&self.log_stds)?).forward(z)?;
            joint.push((standard_normal_log_prob(&white)? + log_det)?);
        }
        let joint = Tensor::stack(&joint, 1)?.broadcast_add(&self.logits)?;
        log_sum_exp(&joint)? - log_sum_exp(&self.logits)?.broadcast_as(batch)?
    }

    /// Differentiable with respect to means and standard deviations, but not to the logits.
    fn sample(&self, count: usize, seed: u64) -> Result<Tensor> {
        let features = self.means.dim(1)?;
        let (dtype, device) = (self.means.dtype(), self.means.device());
        let weights = candle_nn::ops::softmax(&self.logits.detach(), 0)?;
        let weights = transfer::numbers(&weights)?;
        let draws = random::uniform_numbers::<f64>(random::derive(seed, "component"), count);
        let chosen = draws.into_iter().map(|draw| {
            let mut below = 0.0;
            let passed = weights.iter().take_while(|weight| {
                below += **weight;
                below <= draw
            });
            (passed.count() as u32).min(weights.len() as u32 - 1)
        });
        let chosen = transfer::upload(chosen.collect(), count, DType::U32, device)?;
        let noise = random::normal(
            random::derive(seed, "noise"),
            (count, features),
            dtype,
            device,
        )?;
        let of = |tensor: &Tensor| tensor.index_select(&chosen, 0);
        Whiten::new(of(&self.means)?, of(&self.log_stds)?).inverse(&noise)
    }
}
