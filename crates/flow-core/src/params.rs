//! Named parameters, drawn from a seed or loaded, in name order; each name is used once.
//!
//! Layers ask a [`ParamBuilder`], which is candle's `VarBuilder` over this store, so they read like
//! any candle code: `params.pp("actnorm").get_with_hints(shape, "shift", Init::Zeros)`. candle's
//! `VarMap` cannot be seeded on the CPU, loses the order of its variables, and returns the same
//! variable twice for a repeated name.

use crate::{Result, random, transfer};
use candle_core::{DType, Device, Shape, Tensor, Var, bail};
use candle_nn::var_builder::{Backend, VarBuilderArgs};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

/// Initial value of a parameter.
#[derive(Clone, Debug, Default)]
pub enum Init {
    /// All zeros.
    #[default]
    Zeros,
    /// All ones.
    Ones,
    /// Independent draws from N(0, std²).
    Normal {
        /// The standard deviation.
        std: f64,
    },
    /// As `Normal`, for the weights `[out, in, …]` of a hidden layer, whose steps
    /// [`Muon`](crate::train::Optimizer::Muon) takes as those of a matrix.
    Hidden {
        /// The standard deviation.
        std: f64,
    },
    /// Independent draws from N(mean, std²), with a mean for each row (the first dimension).
    NormalRows {
        /// The means.
        means: Vec<f64>,
        /// The standard deviation.
        std: f64,
    },
    /// A random rotation; for square matrices.
    Rotation,
}

/// Source of the parameters of layers.
pub type ParamBuilder<'a> = VarBuilderArgs<'a, ParamStore>;

/// The parameters of one model by name.
///
/// A fresh parameter is drawn from the seed and its name, independently of the order of creation.
/// Clones share the parameters.
#[derive(Clone)]
pub struct ParamStore {
    vars: Arc<Mutex<BTreeMap<String, Var>>>,
    /// Names handed out by any view.
    used: Arc<Mutex<BTreeSet<String>>>,
    /// Those of them that are weights of hidden layers.
    hidden: Arc<Mutex<BTreeSet<String>>>,
    /// Names handed out; each view has its own.
    requested: Arc<Mutex<BTreeSet<String>>>,
    access: Access,
}

#[derive(Clone, Copy)]
enum Access {
    /// Missing parameters are drawn from this seed.
    Draw(u64),
    /// Missing parameters are errors.
    Loaded,
    /// As `Loaded`, with parameters that record no graph.
    Frozen,
}

impl ParamStore {
    /// An empty store; parameters that layers ask for are drawn from `seed`.
    pub fn new(seed: u64) -> Self {
        Self::with(BTreeMap::new(), Access::Draw(seed))
    }

    /// A store of given values (copied); missing parameters are errors.
    pub fn from_tensors(tensors: impl IntoIterator<Item = (String, Tensor)>) -> Result<Self> {
        let vars = tensors.into_iter().map(|(name, tensor)| {
            let copy = Var::zeros(tensor.shape(), tensor.dtype(), tensor.device())?;
            copy.set(&tensor)?;
            Ok((name, copy))
        });
        Ok(Self::with(vars.collect::<Result<_>>()?, Access::Loaded))
    }

    fn with(vars: BTreeMap<String, Var>, access: Access) -> Self {
        let vars = Arc::new(Mutex::new(vars));
        Self {
            vars,
            used: Arc::default(),
            hidden: Arc::default(),
            requested: Arc::default(),
            access,
        }
    }

    /// A view of the same parameters that records no graph. It shares every update and copies
    /// nothing.
    #[must_use]
    pub fn frozen(&self) -> Self {
        Self {
            vars: self.vars.clone(),
            used: self.used.clone(),
            hidden: self.hidden.clone(),
            requested: Arc::default(),
            access: Access::Frozen,
        }
    }

    /// The builder that layers take, at the root of the names.
    pub fn builder(&self, dtype: DType, device: &Device) -> ParamBuilder<'static> {
        VarBuilderArgs::new_with_args(self.clone(), dtype, device)
    }

    /// All parameters in name order.
    pub fn vars(&self) -> Vec<(String, Var)> {
        lock(&self.vars)
            .iter()
            .map(|(name, var)| (name.clone(), var.clone()))
            .collect()
    }

    /// Names of the weights of hidden layers, [`Init::Hidden`].
    pub(crate) fn hidden(&self) -> BTreeSet<String> {
        lock(&self.hidden).clone()
    }

    /// Number of scalars in all parameters.
    pub fn element_count(&self) -> usize {
        lock(&self.vars).values().map(|var| var.elem_count()).sum()
    }

    /// Names in the store that no layer asked for through any view; they belong to another model.
    pub fn unused(&self) -> Vec<String> {
        let used = lock(&self.used);
        let vars = lock(&self.vars);
        let unused = vars.keys().filter(|name| !used.contains(*name));
        unused.cloned().collect()
    }

    fn request(&self, name: &str) -> Result<()> {
        if !lock(&self.requested).insert(name.to_owned()) {
            bail!("parameter `{name}` is requested twice");
        }
        lock(&self.used).insert(name.to_owned());
        Ok(())
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().expect("no panic happens under these locks")
}

impl Backend for ParamStore {
    type Hints = Init;

    fn get(
        &self,
        shape: Shape,
        name: &str,
        init: Init,
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor> {
        if let Init::Hidden { .. } = init {
            lock(&self.hidden).insert(name.to_owned());
        }
        if let Access::Draw(seed) = self.access {
            let mut vars = lock(&self.vars);
            if !vars.contains_key(name) {
                let value = draw(init, random::derive(seed, name), &shape, dtype, device)?;
                vars.insert(name.to_owned(), Var::from_tensor(&value)?);
            }
        }
        let tensor = self.get_unchecked(name, dtype, device)?;
        if tensor.shape() != &shape {
            bail!(
                "parameter `{name}` has shape {:?}, the model needs {shape:?}",
                tensor.shape()
            );
        }
        Ok(tensor)
    }

    fn get_unchecked(&self, name: &str, dtype: DType, device: &Device) -> Result<Tensor> {
        self.request(name)?;
        let vars = lock(&self.vars);
        let Some(var) = vars.get(name) else {
            bail!("parameter `{name}` is missing");
        };
        if var.dtype() != dtype || !var.device().same_device(device) {
            bail!(
                "parameter `{name}` is {:?} on {:?}, the model needs {dtype:?} on {device:?}",
                var.dtype(),
                var.device().location()
            );
        }
        Ok(match self.access {
            Access::Frozen => var.as_detached_tensor(),
            Access::Draw(_) | Access::Loaded => var.as_tensor().clone(),
        })
    }

    fn contains_tensor(&self, name: &str) -> bool {
        lock(&self.vars).contains_key(name)
    }
}

/// Writes `value` into the parameter `param`, which a layer holds as a plain tensor.
///
/// # Errors
/// If `param` is not a variable, as in a frozen model, where the write would be lost.
pub fn assign(param: &Tensor, value: &Tensor) -> Result<()> {
    if !param.is_variable() {
        bail!(
            "a frozen parameter of shape {:?} cannot be assigned",
            param.shape()
        );
    }
    Var::from_tensor(param)?.set(value)
}

fn draw(init: Init, seed: u64, shape: &Shape, dtype: DType, device: &Device) -> Result<Tensor> {
    match init {
        Init::Zeros => Tensor::zeros(shape, dtype, device),
        Init::Ones => Tensor::ones(shape, dtype, device),
        Init::Normal { std } | Init::Hidden { std } => {
            random::normal(seed, shape, dtype, device)? * std
        }
        Init::NormalRows { means, std } => {
            let mut rows = vec![1; shape.rank()];
            match rows.first_mut() {
                Some(first) if shape.dims()[0] == means.len() => *first = means.len(),
                _ => bail!("a shape of {shape:?} has not {} rows", means.len()),
            }
            let means = transfer::upload(means, rows, dtype, device)?;
            (random::normal(seed, shape, dtype, device)? * std)?.broadcast_add(&means)
        }
        Init::Rotation => {
            let (rows, columns) = shape.dims2()?;
            if rows != columns {
                bail!("a rotation must be square, not {rows}×{columns}");
            }
            transfer::from_host(&random::rotation(seed, rows)?.to_dtype(dtype)?, device)
        }
    }
}
