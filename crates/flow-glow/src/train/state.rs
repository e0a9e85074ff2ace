//! What training moves: the weights, their average, and the moments of the optimiser.

use super::guard::Losses;
use super::settings::Precision;
use crate::checkpoint::{AVERAGE, FIRST_MOMENT, GOOD, SECOND_MOMENT, WEIGHTS};
use crate::config::GlowConfig;
use crate::model::Glow;
use crate::tensor_file::{Piece, Scratch};
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor, Var};
use flow_core::optimizer::Moments;
use flow_core::params::ParamStore;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The parts of a training that belong together: they are saved, and go back, as one.
pub(super) struct State {
    pub(super) params: ParamStore,
    /// The model that is fitted.
    pub(super) live: Glow,
    /// The same without a graph.
    pub(super) still: Glow,
    pub(super) average: ParamStore,
    /// The model that sees the average.
    pub(super) model: Glow,
    pub(super) moments: Moments,
    pub(super) standing: Standing,
}

/// What belongs to a state beside its tensors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Standing {
    /// Updates of the weights that led to it.
    pub(super) updates: u64,
    /// The losses on the way.
    pub(super) losses: Losses,
}

/// A copy of a state to go back to.
pub(super) struct Snapshot {
    pub(super) tensors: BTreeMap<String, Piece>,
    pub(super) standing: Standing,
}

impl Snapshot {
    /// The same, over what is in `scratch`.
    pub(super) fn stored_in(self, scratch: &Scratch) -> Result<Self> {
        let mut end = 0;
        let store = |(name, piece): (String, Piece)| {
            let tensor = piece.load(&Device::Cpu)?;
            Ok((name, Piece::Stored(scratch.put(&mut end, &tensor)?)))
        };
        Ok(Self {
            tensors: self.tensors.into_iter().map(store).collect::<Result<_>>()?,
            standing: self.standing,
        })
    }
}

impl State {
    /// Weights drawn from `seed`, which are their own average.
    pub(super) fn new(
        config: &GlowConfig,
        precision: Precision,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        let params = ParamStore::new(seed);
        Self::of(config, precision, device, params, |params| {
            ParamStore::from_tensors(named("", params))
        })
    }

    /// The state whose [`tensors`](Self::tensors) these are, by their parts.
    ///
    /// # Errors
    /// If one is missing, left over, or of another shape or type than the model's.
    pub(super) fn from_tensors(
        config: &GlowConfig,
        precision: Precision,
        mut parts: BTreeMap<String, BTreeMap<String, Tensor>>,
        standing: Standing,
        device: &Device,
    ) -> Result<Self> {
        let mut part = |name: &str| parts.remove(name).unwrap_or_default();
        let params = ParamStore::from_tensors(part(WEIGHTS))?;
        let mut state = Self::of(config, precision, device, params, |_| {
            ParamStore::from_tensors(part(AVERAGE))
        })?;
        state.set_moments(part(FIRST_MOMENT), part(SECOND_MOMENT))?;
        state.standing = standing;
        Ok(state)
    }

    fn of(
        config: &GlowConfig,
        precision: Precision,
        device: &Device,
        params: ParamStore,
        average: impl FnOnce(&ParamStore) -> candle_core::Result<ParamStore>,
    ) -> Result<Self> {
        let fitted = |params: &ParamStore| {
            Glow::with_precision(config, precision.into(), params.builder(DType::F32, device))
        };
        let live = fitted(&params)?;
        all_used(&params)?;
        let still = fitted(&params.frozen())?;
        let average = average(&params)?;
        let view = average.frozen();
        let model = Glow::new(config, view.builder(DType::F32, device))?;
        all_used(&view)?;
        Ok(Self {
            params,
            live,
            still,
            average,
            model,
            moments: Moments::default(),
            standing: Standing::default(),
        })
    }

    /// All tensors by their names in a `training.safetensors`. They are the state's own, not copies.
    pub(super) fn tensors(&self) -> Vec<(String, Tensor)> {
        let mut tensors = named(&format!("{WEIGHTS}/"), &self.params);
        tensors.extend(named(&format!("{AVERAGE}/"), &self.average));
        for (name, moments) in self.moments.iter() {
            for (part, moment) in [FIRST_MOMENT, SECOND_MOMENT].into_iter().zip(moments) {
                tensors.push((format!("{part}/{name}"), moment.as_tensor().clone()));
            }
        }
        tensors
    }

    /// A copy that later steps do not change: in memory, or over what is in `scratch`.
    pub(super) fn snapshot(&self, scratch: Option<&Scratch>) -> Result<Snapshot> {
        let mut end = 0;
        let keep = |(name, tensor): (String, Tensor)| {
            let piece = match scratch {
                // Detached, as a copy of a variable would keep that one alive.
                None => Piece::Held(tensor.detach().copy()?),
                Some(scratch) => Piece::Stored(scratch.put(&mut end, &tensor)?),
            };
            Ok((name, piece))
        };
        let tensors = self.tensors().into_iter().map(keep);
        Ok(Snapshot {
            tensors: tensors.collect::<Result<_>>()?,
            standing: self.standing.clone(),
        })
    }

    /// Goes back to what it was when `snapshot` was taken.
    pub(super) fn restore(&mut self, snapshot: &Snapshot) -> Result<()> {
        let [weights, averages] = [&self.params, &self.average]
            .map(|store| store.vars().into_iter().collect::<BTreeMap<_, _>>());
        let (mut first, mut second) = (BTreeMap::new(), BTreeMap::new());
        self.moments = Moments::default();
        for (name, piece) in &snapshot.tensors {
            let Some((part, name)) = name.split_once('/') else {
                continue;
            };
            let tensor = piece.load(weights[name].device())?;
            match part {
                WEIGHTS => weights[name].set(&tensor)?,
                AVERAGE => averages[name].set(&tensor)?,
                FIRST_MOMENT => drop(first.insert(name.to_owned(), tensor)),
                _ => drop(second.insert(name.to_owned(), tensor)),
            }
        }
        self.set_moments(first, second)?;
        self.standing = snapshot.standing.clone();
        Ok(())
    }

    /// The snapshot of these `tensors`, of a state of the same model.
    ///
    /// # Errors
    /// If one is missing, left over, or of another shape or type than the model's.
    pub(super) fn snapshot_of(
        &self,
        tensors: BTreeMap<String, Tensor>,
        standing: Standing,
    ) -> Result<Snapshot> {
        let weights: BTreeMap<_, _> = self.params.vars().into_iter().collect();
        let refuse = |name: &str, reason: &str| {
            Err(Error::Config(format!("tensor `{GOOD}/{name}` {reason}")))
        };
        for (full, tensor) in &tensors {
            let known = full.split_once('/').and_then(|(part, name)| {
                [WEIGHTS, AVERAGE, FIRST_MOMENT, SECOND_MOMENT]
                    .contains(&part)
                    .then(|| weights.get(name))?
            });
            let Some(weight) = known else {
                return refuse(full, "does not belong to the model");
            };
            if tensor.shape() != weight.shape() || tensor.dtype() != weight.dtype() {
                return refuse(full, "has not the shape and type of its parameter");
            }
        }
        for name in weights.keys() {
            let has = |part: &str| tensors.contains_key(&format!("{part}/{name}"));
            for part in [WEIGHTS, AVERAGE] {
                if !has(part) {
                    return refuse(&format!("{part}/{name}"), "is missing");
                }
            }
            if has(FIRST_MOMENT) != has(SECOND_MOMENT) {
                return refuse(
                    &format!("{FIRST_MOMENT}/{name}"),
                    "is not one of two moments",
                );
            }
        }
        let held = |(name, tensor)| (name, Piece::Held(tensor));
        Ok(Snapshot {
            tensors: tensors.into_iter().map(held).collect(),
            standing,
        })
    }

    /// Makes the weights their own average.
    pub(super) fn reset_average(&self) -> Result<()> {
        for ((_, var), (_, average)) in self.params.vars().into_iter().zip(self.average.vars()) {
            average.set(&var)?;
        }
        Ok(())
    }

    fn set_moments(
        &mut self,
        first: BTreeMap<String, Tensor>,
        mut second: BTreeMap<String, Tensor>,
    ) -> Result<()> {
        let weights: BTreeMap<_, _> = self.params.vars().into_iter().collect();
        let refuse = |name: &str, reason: &str| {
            Err(Error::Config(format!("the moments of `{name}` {reason}")))
        };
        for (name, first) in first {
            let (Some(weight), Some(second)) = (weights.get(&name), second.remove(&name)) else {
                return refuse(&name, "are not complete");
            };
            let fits = |moment: &Tensor| {
                moment.shape() == weight.shape() && moment.dtype() == weight.dtype()
            };
            if !fits(&first) || !fits(&second) {
                return refuse(&name, "have not its shape and type");
            }
            let moments = [Var::from_tensor(&first)?, Var::from_tensor(&second)?];
            self.moments.insert(name, moments);
        }
        Ok(())
    }
}

/// The tensors of a store, their names behind `prefix`.
pub(super) fn named(prefix: &str, store: &ParamStore) -> Vec<(String, Tensor)> {
    let tensors = store.vars().into_iter();
    tensors
        .map(|(name, var)| (format!("{prefix}{name}"), var.into_inner()))
        .collect()
}

fn all_used(store: &ParamStore) -> Result<()> {
    match store.unused().first() {
        Some(name) => Err(Error::Config(format!(
            "tensor `{name}` does not belong to the model"
        ))),
        None => Ok(()),
    }
}
