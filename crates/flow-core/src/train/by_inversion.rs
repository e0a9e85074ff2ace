//! Back-propagation of a batch by inversion, part by part.

use crate::runs::side_by_side;
use crate::{Bijection, Gradients, check};
use candle_core::{Device, Error, Tensor};

/// Residuals that a training step keeps of the forward pass for the backward pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
pub enum Memory {
    /// All activations: memory grows with the depth of the flow.
    #[default]
    Plain,
    /// Outputs of the flow; for a multi-scale flow, those of its levels. Each part recovers its
    /// input by inversion. Memory is independent of depth, except for the parameters; a step takes
    /// longer.
    Constant,
}

/// Distance of recovered inputs from the true ones.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Inversion {
    /// The largest difference, relative to 1 + the largest magnitude; infinite if a number is not
    /// finite.
    pub error: f64,
    /// The level of a multi-scale flow with the largest difference, from 0.
    pub level: usize,
}

impl Inversion {
    /// The largest error of a usable gradient. Gradients are about as wrong as the inputs at which
    /// they are taken, so three digits are right.
    pub const BOUND: f64 = 1e-3;

    /// True if its gradients can be used.
    pub fn is_sound(&self) -> bool {
        self.error <= Self::BOUND
    }

    /// Compares `recovered` with the true `x` at `level`, and keeps the larger error.
    ///
    /// # Errors
    /// If the shapes differ.
    pub fn compare(&mut self, recovered: &Tensor, x: &Tensor, level: usize) -> crate::Result<()> {
        let error = check::distance(recovered, x)?;
        let error = if error.is_finite() {
            error
        } else {
            f64::INFINITY
        };
        if error > self.error {
            *self = Self { error, level };
        }
        Ok(())
    }
}

/// A run of a batch on its way back through a map.
#[derive(Clone, Debug)]
pub struct Returning {
    /// Output of the map before the pass, `[B, …]`, and its input after it.
    pub x: Tensor,
    /// Gradient with respect to `x`.
    pub grad: Tensor,
    /// Gradient with respect to the log-determinant, `[B]`.
    pub grad_log_det: Tensor,
}

/// Takes runs of a batch back through a map by [`Bijection::backward`]. All runs pass a part before
/// any continues, so only one part's graphs and gradients exist at a time (Kingma & Dhariwal 2018,
/// arXiv:1807.03039, section 3).
///
/// `maps` has the map of each run, with its contexts bound. `take` receives the gradients of each
/// part, run by run, as soon as they are final; `none` names the parameters.
///
/// # Errors
/// The first error of a map or of `take`.
pub fn backward_in_step<E: From<Error> + Send>(
    device: &Device,
    maps: &[&dyn Bijection],
    runs: Vec<Returning>,
    none: &Gradients,
    take: &mut dyn FnMut(Vec<Gradients>) -> Result<(), E>,
) -> Result<Vec<Returning>, E> {
    let parts = maps.iter().map(|map| map.parts()).collect::<Vec<_>>();
    let count = parts.first().map_or(0, Vec::len);
    if count > 0 {
        return (0..count).rev().try_fold(runs, |runs, part| {
            let maps = parts.iter().map(|parts| parts[part]).collect::<Vec<_>>();
            backward_in_step(device, &maps, runs, none, take)
        });
    }
    let work = maps.iter().zip(runs).collect();
    let back = side_by_side(device, work, |(map, run): (&&dyn Bijection, Returning)| {
        let mut grads = none.none();
        let (x, grad) = map.backward(&run.x, &run.grad, &run.grad_log_det, &mut grads)?;
        Ok::<_, E>((Returning { x, grad, ..run }, grads))
    })?;
    let (runs, grads): (Vec<_>, Vec<_>) = back.into_iter().unzip();
    take(grads)?;
    Ok(runs)
}
