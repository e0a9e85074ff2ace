//! Gradients by parameter: what every optimiser, clip and memory-saving backward passes around.

use crate::Result;
use crate::params::ParamStore;
use candle_core::backprop::GradStore;
use candle_core::{DType, Tensor, Var};
use rayon::prelude::*;

/// The gradient of a loss in each parameter of a store, in name order, detached from any graph.
pub struct Gradients {
    entries: Vec<Entry>,
}

type Entry = (String, Var, Option<Tensor>);

impl Gradients {
    /// No gradient yet, for every parameter of `params`.
    pub fn new(params: &ParamStore) -> Self {
        let entries = params
            .vars()
            .into_iter()
            .map(|(name, var)| (name, var, None))
            .collect();
        Self { entries }
    }

    /// The gradient of the scalar `loss`, by automatic differentiation.
    pub fn of(loss: &Tensor, params: &ParamStore) -> Result<Self> {
        let mut gradients = Self::new(params);
        gradients.add(&loss.backward()?)?;
        Ok(gradients)
    }

    /// The sum of gradients in the same parameters, added in their order.
    pub fn sum(mut self, others: &[Self]) -> Result<Self> {
        let add = |(index, (_, _, sum)): (usize, &mut Entry)| {
            for (_, _, grad) in others.iter().map(|other| &other.entries[index]) {
                *sum = match (sum.take(), grad) {
                    (Some(sum), Some(grad)) => Some((sum + grad)?),
                    (sum, grad) => sum.or_else(|| grad.clone()),
                };
            }
            Result::Ok(())
        };
        self.entries.par_iter_mut().enumerate().try_for_each(add)?;
        Ok(self)
    }

    /// Adds what `part` holds for the parameters; its other entries (constants that met a
    /// parameter) are left behind.
    pub fn add(&mut self, part: &GradStore) -> Result<()> {
        for (_, var, sum) in &mut self.entries {
            if let Some(grad) = part.get(var) {
                // Gradients in a store can carry a graph, which would keep activations alive.
                let grad = grad.detach();
                *sum = Some(match sum.take() {
                    Some(sum) => (sum + grad)?,
                    None => grad,
                });
            }
        }
        Ok(())
    }

    /// The gradient of the parameter `name`, if it has one.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        let index = self
            .entries
            .binary_search_by(|(other, ..)| other.as_str().cmp(name))
            .ok()?;
        self.entries[index].2.as_ref()
    }

    /// Name, parameter and gradient of all that have one, in name order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Var, &Tensor)> {
        self.entries
            .iter()
            .filter_map(|(name, var, grad)| Some((name.as_str(), var, grad.as_ref()?)))
    }

    /// √Σg² over all parameters.
    pub fn global_norm(&self) -> Result<f64> {
        let squares = self
            .entries
            .par_iter()
            .filter_map(|(_, _, grad)| grad.as_ref())
            .map(|grad| grad.to_dtype(DType::F64)?.sqr()?.sum_all())
            .collect::<Result<Vec<_>>>()?;
        if squares.is_empty() {
            return Ok(0.0);
        }
        Ok(Tensor::stack(&squares, 0)?
            .sum_all()?
            .to_scalar::<f64>()?
            .sqrt())
    }
}
