//! State of a training: weights, their average, and the moments of the optimiser.

use super::optimizer_state::OptimizerState;
use crate::checkpoint::{AVERAGE, FIRST_MOMENT, GOOD, SECOND_MOMENT, WEIGHTS};
use crate::config::GlowConfig;
use crate::model::Glow;
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use flow_core::file::{Piece, Scratch};
use flow_core::ops::Precision;
use flow_core::params::ParamStore;
use flow_core::train::Steps;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The parts of a training that are saved and restored together.
pub(super) struct State {
    pub(super) params: ParamStore,
    /// The model whose outputs record a graph.
    pub(super) trainable: Glow,
    /// The same model without a graph.
    pub(super) frozen: Glow,
    pub(super) optimizer: OptimizerState,
    /// The model of the averaged weights, while they are in memory.
    averaged: Option<Arc<Glow>>,
    pub(super) steps: Steps,
}

/// A copy of a state to go back to.
pub(super) struct Snapshot {
    pub(super) tensors: BTreeMap<String, Piece>,
    pub(super) steps: Steps,
}

impl Snapshot {
    /// The same snapshot, written over the content of `scratch`.
    pub(super) fn stored_in(self, scratch: &Scratch) -> Result<Self> {
        let mut end = 0;
        let store = |(name, piece): (String, Piece)| {
            Ok((name, Piece::Stored(scratch.put(&mut end, &piece.get()?)?)))
        };
        Ok(Self {
            tensors: self.tensors.into_iter().map(store).collect::<Result<_>>()?,
            steps: self.steps,
        })
    }
}

impl State {
    /// Weights drawn from `seed`; the average starts equal to them.
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

    /// The state from its [`tensors`](Self::tensors), by their parts.
    ///
    /// # Errors
    /// If a tensor is missing, left over, or differs from the model's in shape or type.
    pub(super) fn from_tensors(
        config: &GlowConfig,
        precision: Precision,
        mut parts: BTreeMap<String, BTreeMap<String, Tensor>>,
        steps: Steps,
        device: &Device,
    ) -> Result<Self> {
        let mut part = |name: &str| parts.remove(name).unwrap_or_default();
        let params = ParamStore::from_tensors(part(WEIGHTS))?;
        let mut state = Self::of(config, precision, device, params, |_| {
            ParamStore::from_tensors(part(AVERAGE))
        })?;
        state.set_moments(part(FIRST_MOMENT), part(SECOND_MOMENT))?;
        state.steps = steps;
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
            Glow::with_precision(config, precision, params.builder(DType::F32, device))
        };
        let trainable = fitted(&params)?;
        all_used(&params)?;
        let frozen = fitted(&params.frozen())?;
        let average = average(&params)?;
        let view = average.frozen();
        let averaged = Glow::new(config, view.builder(DType::F32, device))?;
        all_used(&view)?;
        Ok(Self {
            params,
            trainable,
            frozen,
            optimizer: OptimizerState::new(average.vars()),
            averaged: Some(Arc::new(averaged)),
            steps: Steps::default(),
        })
    }

    /// The model with the averaged weights.
    pub(super) fn averaged(&self) -> Result<Arc<Glow>> {
        if let Some(averaged) = &self.averaged {
            return Ok(averaged.clone());
        }
        let device = self.trainable.device();
        let mut failed = None;
        let load = |(name, piece): (&String, &Piece)| match piece.load(device) {
            Ok(tensor) => Some((name.clone(), tensor)),
            Err(error) => {
                failed = Some(error);
                None
            }
        };
        // Tensors are loaded one at a time, as each is copied.
        let average = ParamStore::from_tensors(self.optimizer.averages().map_while(load))?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        let params = average.frozen().builder(DType::F32, device);
        Ok(Arc::new(Glow::new(self.trainable.config(), params)?))
    }

    /// Moves average and moments into a file.
    pub(super) fn store_optimizer_state_in(&mut self, scratch: Scratch) -> Result<()> {
        self.averaged = None;
        self.optimizer.store_in(scratch)
    }

    /// All tensors by their names in a `training.safetensors`, not copied.
    pub(super) fn pieces(&self) -> impl Iterator<Item = (String, Piece)> {
        let weights = named(&format!("{WEIGHTS}/"), &self.params).into_iter();
        let weights = weights.map(|(name, tensor)| (name, Piece::Held(tensor)));
        weights.chain(self.optimizer.pieces())
    }

    /// A copy that later steps leave unchanged: in memory, or over the content of `scratch`.
    pub(super) fn snapshot(&self, scratch: Option<&Scratch>) -> Result<Snapshot> {
        let mut end = 0;
        let keep = |(name, piece): (String, Piece)| {
            let tensor = piece.get()?;
            let piece = match scratch {
                // Detached, because a copy of a variable would keep the variable alive.
                None => Piece::Held(tensor.detach().copy()?),
                Some(scratch) => Piece::Stored(scratch.put(&mut end, &tensor)?),
            };
            Ok((name, piece))
        };
        Ok(Snapshot {
            tensors: self.pieces().map(keep).collect::<Result<_>>()?,
            steps: self.steps.clone(),
        })
    }

    /// Restores the state of the `snapshot`.
    pub(super) fn restore(&mut self, snapshot: &Snapshot) -> Result<()> {
        let weights: BTreeMap<_, _> = self.params.vars().into_iter().collect();
        let tensors = &snapshot.tensors;
        for (name, piece) in tensors {
            let Some((part, name)) = name.split_once('/') else {
                continue;
            };
            let device = weights[name].device();
            match part {
                WEIGHTS => weights[name].set(&piece.load(device)?)?,
                AVERAGE => self.optimizer.set_average(name, &piece.load(device)?)?,
                FIRST_MOMENT => {
                    let second = &tensors[&format!("{SECOND_MOMENT}/{name}")];
                    let moments = [piece.load(device)?, second.load(device)?];
                    self.optimizer.set_moments(name, moments.each_ref())?;
                }
                _ => {}
            }
        }
        let had_moved = |name: &str| tensors.contains_key(&format!("{FIRST_MOMENT}/{name}"));
        self.optimizer.retain_moments(had_moved);
        self.steps = snapshot.steps.clone();
        Ok(())
    }

    /// The snapshot from these `tensors`, of a state of the same model.
    ///
    /// # Errors
    /// If a tensor is missing, left over, or differs from the model's in shape or type.
    pub(super) fn snapshot_of(
        &self,
        tensors: BTreeMap<String, Tensor>,
        steps: Steps,
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
                return refuse(full, "differs from its parameter in shape or type");
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
                    "lacks the other of its two moments",
                );
            }
        }
        let held = |(name, tensor)| (name, Piece::Held(tensor));
        Ok(Snapshot {
            tensors: tensors.into_iter().map(held).collect(),
            steps,
        })
    }

    /// Makes the weights their own average.
    pub(super) fn reset_average(&self) -> Result<()> {
        let mut weights = self.params.vars().into_iter();
        weights.try_for_each(|(name, var)| self.optimizer.set_average(&name, &var))
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
                return refuse(&name, "are incomplete");
            };
            let fits = |moment: &Tensor| {
                moment.shape() == weight.shape() && moment.dtype() == weight.dtype()
            };
            if !fits(&first) || !fits(&second) {
                return refuse(&name, "differ from it in shape or type");
            }
            self.optimizer.set_moments(&name, [&first, &second])?;
        }
        Ok(())
    }
}

/// The tensors of a store, their names behind `prefix`.
fn named(prefix: &str, store: &ParamStore) -> Vec<(String, Tensor)> {
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
