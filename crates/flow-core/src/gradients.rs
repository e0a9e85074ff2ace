//! Gradients by parameter, as optimiser, clipping and memory-saving backward pass share them.

use crate::device::is_host;
use crate::params::ParamStore;
use crate::{Result, transfer};
use candle_core::backprop::GradStore;
use candle_core::{DType, Error, Tensor, TensorId, Var, bail};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The gradient of a loss with respect to each parameter of a store, in name order, without a
/// graph.
pub struct Gradients {
    params: Arc<Parameters>,
    /// Gradients by the index of the parameter.
    sums: BTreeMap<usize, Tensor>,
}

/// The parameters of a store, and the index of each.
struct Parameters {
    named: Vec<(String, Var)>,
    /// Names of the weights of hidden layers.
    hidden: BTreeSet<String>,
    places: HashMap<TensorId, usize>,
}

impl Parameters {
    fn unrelated(&self) -> Error {
        let count = self.named.len();
        Error::msg(format!(
            "the loss depends on none of the {count} parameters of this ParamStore: the flow was built from \
             another store, or from a frozen view of it"
        ))
    }
}

impl Gradients {
    /// Empty gradients for the parameters of `params`.
    pub fn new(params: &ParamStore) -> Self {
        let named = params.vars();
        let places = named.iter().enumerate();
        let places = places.map(|(place, (_, var))| (var.id(), place)).collect();
        Self {
            params: Arc::new(Parameters {
                named,
                hidden: params.hidden(),
                places,
            }),
            sums: BTreeMap::new(),
        }
    }

    /// Empty gradients for the same parameters.
    #[must_use]
    pub fn none(&self) -> Self {
        Self {
            params: self.params.clone(),
            sums: BTreeMap::new(),
        }
    }

    /// The gradient of the scalar `loss`, by automatic differentiation. Variables that are not in
    /// `params` count as constants.
    ///
    /// # Errors
    /// If `loss` carries no graph, as that of [`Flow::log_prob`](crate::Flow::log_prob), or depends
    /// on none of `params`, although the store is not empty.
    pub fn of(loss: &Tensor, params: &ParamStore) -> Result<Self> {
        if !loss.track_op() {
            bail!(
                "gradient: no graph was recorded of the loss; take `Flow::with_graph`, of parameters \
                 that are not frozen"
            );
        }
        let mut gradients = Self::new(params);
        gradients.add(&loss.backward()?)?;
        if gradients.sums.is_empty() && !gradients.params.named.is_empty() {
            return Err(gradients.params.unrelated());
        }
        Ok(gradients)
    }

    /// # Errors
    /// If `loss` depends on a variable outside `params`, or on none of its parameters.
    pub(crate) fn check(loss: &Tensor, params: &ParamStore) -> Result<()> {
        let params = Self::new(params).params;
        let variables = loss.sorted_nodes().into_iter();
        let (known, foreign) = variables
            .filter(|node| node.is_variable())
            .partition::<Vec<_>, _>(|var| params.places.contains_key(&var.id()));
        if known.is_empty() {
            return Err(params.unrelated());
        }
        if let Some(var) = foreign.first() {
            bail!(
                "the flow trains {} parameters that are not in this ParamStore, such as one of shape {:?}; give \
                 the store that it was built from, and build what shall not move from `ParamStore::frozen`",
                foreign.len(),
                var.shape()
            );
        }
        Ok(())
    }

    /// Adds the gradients in `part` of the parameters; other entries (constants that met a
    /// parameter) are ignored.
    pub fn add(&mut self, part: &GradStore) -> Result<()> {
        for id in part.get_ids() {
            let (Some(place), Some(grad)) = (self.params.places.get(id), part.get_id(*id)) else {
                continue;
            };
            // Gradients in a store can carry a graph, which would keep activations alive.
            self.add_one(*place, grad.detach())?;
        }
        Ok(())
    }

    /// Adds gradients with respect to the same parameters, in order.
    pub fn append(&mut self, others: impl IntoIterator<Item = Self>) -> Result<()> {
        for (place, grad) in others.into_iter().flat_map(|other| other.sums) {
            self.add_one(place, grad)?;
        }
        Ok(())
    }

    fn add_one(&mut self, place: usize, grad: Tensor) -> Result<()> {
        let sum = match self.sums.remove(&place) {
            Some(sum) => (sum + grad)?,
            None => grad,
        };
        self.sums.insert(place, sum);
        Ok(())
    }

    /// Back-propagates through a graph from gradients of its outputs, given as (output, gradient)
    /// of equal shapes. Adds the gradients of the parameters, and returns those of the `leaves`, at
    /// which the graph begins, detached.
    ///
    /// # Errors
    /// If there are no outputs, or a shape differs.
    #[allow(clippy::missing_panics_doc)] // It never does.
    pub fn pull_back<const N: usize>(
        &mut self,
        outputs: &[(&Tensor, &Tensor)],
        leaves: [&Var; N],
    ) -> Result<[Tensor; N]> {
        let products = outputs.iter().map(|(output, grad)| {
            if output.shape() != grad.shape() {
                bail!(
                    "the gradient of {:?} is not {:?}",
                    output.shape(),
                    grad.shape()
                );
            }
            (*output * &grad.detach())?.sum_all()
        });
        let products = products.collect::<Result<Vec<_>>>()?;
        let mut store = Tensor::stack(&products, 0)?.sum_all()?.backward()?;
        let grads = leaves.map(|leaf| match store.remove(leaf) {
            // A leaf's gradient can itself carry a graph; without `detach` the next block would
            // differentiate it again.
            Some(grad) => Ok(grad.detach()),
            None => leaf.zeros_like(),
        });
        self.add(&store)?;
        let grads = grads.into_iter().collect::<Result<Vec<_>>>()?;
        Ok(grads.try_into().expect("there are as many as leaves"))
    }

    /// Replaces the gradient of the parameter `name` by `grad`.
    ///
    /// # Errors
    /// If there is no such parameter, or its shape differs.
    pub fn replace(&mut self, name: &str, grad: Tensor) -> Result<()> {
        let Some(place) = self.place(name) else {
            bail!("there is no parameter `{name}`");
        };
        let shape = self.params.named[place].1.shape();
        if grad.shape() != shape {
            bail!("the gradient of {shape:?} is not {:?}", grad.shape());
        }
        self.sums.insert(place, grad.detach());
        Ok(())
    }

    /// The gradient of the parameter `name`, if it has one.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.sums.get(&self.place(name)?)
    }

    fn place(&self, name: &str) -> Option<usize> {
        let by_name = |(other, _): &(String, Var)| other.as_str().cmp(name);
        self.params.named.binary_search_by(by_name).ok()
    }

    /// Name, parameter and gradient, in name order, of all parameters that have a gradient.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Var, &Tensor)> {
        self.sums.iter().map(|(place, grad)| {
            let (name, var) = &self.params.named[*place];
            (name.as_str(), var, grad)
        })
    }

    /// True if the parameter `name` is the weights of a hidden layer.
    pub(crate) fn is_hidden(&self, name: &str) -> bool {
        self.params.hidden.contains(name)
    }

    /// √Σg² over all parameters.
    pub fn global_norm(&self) -> Result<f64> {
        let grads: Vec<&Tensor> = self.sums.values().collect();
        let Some(first) = grads.first() else {
            return Ok(0.0);
        };
        // Metal has no double precision.
        let metal = first.device().is_metal();
        let dtype = if metal { DType::F32 } else { DType::F64 };
        let square = |grad: &Tensor| grad.to_dtype(dtype)?.sqr()?.sum_all();
        let squares: Result<Vec<_>> = if is_host(first.device()) {
            grads.into_par_iter().map(square).collect()
        } else {
            grads.into_iter().map(square).collect()
        };
        Ok(transfer::scalar(&Tensor::stack(&squares?, 0)?.sum_all()?)?.sqrt())
    }
}
