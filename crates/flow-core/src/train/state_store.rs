//! Storage of the optimiser's state.

use super::ParameterState;
use crate::Result;
use crate::params::ParamStore;
use candle_core::Var;
use std::collections::BTreeMap;

/// Averages and moments of all parameters, in memory or elsewhere.
pub trait StateStore {
    /// Error of reading or writing.
    type Error: From<candle_core::Error>;

    /// Lends average and moments of the parameter `name` to `update`, and stores the results.
    ///
    /// A parameter that has not moved yet has moments of zero and its weight as average. With
    /// `averaged`, an average is kept.
    ///
    /// # Errors
    /// If `update` fails, or reading or writing does.
    fn with(
        &mut self,
        name: &str,
        weight: &Var,
        averaged: bool,
        update: impl FnOnce(&ParameterState) -> Result<()>,
    ) -> std::result::Result<(), Self::Error>;
}

/// Averages, if enabled, and moments, in memory.
#[derive(Default)]
pub struct MemoryStore(BTreeMap<String, ParameterState>);

impl StateStore for MemoryStore {
    type Error = candle_core::Error;

    fn with(
        &mut self,
        name: &str,
        weight: &Var,
        averaged: bool,
        update: impl FnOnce(&ParameterState) -> Result<()>,
    ) -> Result<()> {
        if !self.0.contains_key(name) {
            let zeros = || Var::zeros(weight.shape(), weight.dtype(), weight.device());
            let average = averaged.then(|| Var::from_tensor(&weight.as_detached_tensor()));
            let state = ParameterState {
                average: average.transpose()?,
                moments: [zeros()?, zeros()?],
            };
            self.0.insert(name.to_owned(), state);
        }
        update(&self.0[name])
    }
}

#[cfg(feature = "file")]
impl From<BTreeMap<String, ParameterState>> for MemoryStore {
    fn from(states: BTreeMap<String, ParameterState>) -> Self {
        Self(states)
    }
}

impl MemoryStore {
    /// Averages and moments by names of parameters.
    #[cfg(feature = "file")]
    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &ParameterState)> {
        self.0.iter()
    }

    /// Exchanges the weights of `params` with their averages.
    pub fn swap_averages(&self, params: &ParamStore) -> Result<()> {
        for (name, weight) in params.vars() {
            if let Some(average) = self.0.get(&name).and_then(|state| state.average.as_ref()) {
                let copy = weight.copy()?;
                weight.set(average)?;
                average.set(&copy)?;
            }
        }
        Ok(())
    }
}
