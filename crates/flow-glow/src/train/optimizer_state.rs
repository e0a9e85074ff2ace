//! State of the optimiser: the average of every weight and the moments of its gradient. A step
//! needs them once, parameter by parameter, so they can live in a file.

use crate::checkpoint::{AVERAGE, FIRST_MOMENT, SECOND_MOMENT};
use crate::{Error, Result};
use candle_core::{Tensor, Var};
use flow_core::file::{Piece, Scratch};
use flow_core::train::{ParameterState, StateStore};
use std::collections::BTreeMap;

/// Averages and moments of all parameters.
pub(super) struct OptimizerState {
    /// Averages and moments by the parameter's name.
    named: BTreeMap<String, ParameterPieces>,
    /// The file that holds them if they are not in memory, and its end.
    file: Option<(Scratch, u64)>,
}

/// Average and moments of one parameter.
struct ParameterPieces {
    average: Piece,
    /// `None` until the parameter moves.
    moments: Option<[Piece; 2]>,
}

impl OptimizerState {
    /// Averages of parameters that have not moved.
    pub(super) fn new(averages: impl IntoIterator<Item = (String, Var)>) -> Self {
        let new = |(name, average): (String, Var)| {
            let average = Piece::Held(average.into_inner());
            let moments = None;
            (name, ParameterPieces { average, moments })
        };
        Self {
            named: averages.into_iter().map(new).collect(),
            file: None,
        }
    }

    /// Moves them into a file.
    pub(super) fn store_in(&mut self, scratch: Scratch) -> Result<()> {
        self.file = Some((scratch, 0));
        for (name, ParameterPieces { average, moments }) in std::mem::take(&mut self.named) {
            let state = ParameterPieces {
                average: self.keep(&average.get()?)?,
                moments: None,
            };
            self.named.insert(name.clone(), state);
            if let Some([first, second]) = moments {
                let moments = [first.get()?, second.get()?];
                self.set_moments(&name, moments.each_ref())?;
            }
        }
        Ok(())
    }

    /// A separate tensor, equal to `tensor`.
    fn keep(&mut self, tensor: &Tensor) -> Result<Piece> {
        Ok(match &mut self.file {
            Some((scratch, end)) => Piece::Stored(scratch.put(end, tensor)?),
            None => Piece::Held(Var::from_tensor(tensor)?.into_inner()),
        })
    }

    /// The averages.
    pub(super) fn averages(&self) -> impl Iterator<Item = (&String, &Piece)> {
        self.named
            .iter()
            .map(|(name, state)| (name, &state.average))
    }

    /// All tensors, by their names in a `training.safetensors`.
    pub(super) fn pieces(&self) -> impl Iterator<Item = (String, Piece)> {
        self.named.iter().flat_map(|(name, state)| {
            let moments = state.moments.iter().flatten();
            [&state.average]
                .into_iter()
                .chain(moments)
                .zip([AVERAGE, FIRST_MOMENT, SECOND_MOMENT])
                .map(move |(piece, part)| (format!("{part}/{name}"), piece.clone()))
        })
    }

    /// Sets the average of the parameter `name`.
    pub(super) fn set_average(&self, name: &str, average: &Tensor) -> Result<()> {
        Ok(self.named[name].average.set(average)?)
    }

    /// Sets the moments of the parameter `name`.
    pub(super) fn set_moments(&mut self, name: &str, moments: [&Tensor; 2]) -> Result<()> {
        if let Some(pieces) = &self.named[name].moments {
            let mut pairs = pieces.iter().zip(moments);
            return Ok(pairs.try_for_each(|(piece, moment)| piece.set(moment))?);
        }
        let [first, second] = moments.map(|moment| self.keep(moment));
        let moments = Some([first?, second?]);
        if let Some(state) = self.named.get_mut(name) {
            state.moments = moments;
        }
        Ok(())
    }

    /// Drops all moments but those of the parameters that `keep` selects.
    pub(super) fn retain_moments(&mut self, keep: impl Fn(&str) -> bool) {
        for (name, state) in &mut self.named {
            if !keep(name) {
                state.moments = None;
            }
        }
    }
}

impl StateStore for OptimizerState {
    type Error = Error;

    /// Trainings of images always have an average.
    fn with(
        &mut self,
        name: &str,
        weight: &Var,
        _averaged: bool,
        update: impl FnOnce(&ParameterState) -> candle_core::Result<()>,
    ) -> Result<()> {
        if self.named[name].moments.is_none() {
            let zeros = weight.zeros_like()?;
            self.set_moments(name, [&zeros, &zeros])?;
        }
        let ParameterPieces { average, moments } = &self.named[name];
        let [first, second] = moments.as_ref().expect("they were set above");
        let load = |piece: &Piece| Result::Ok(Var::from_tensor(&piece.load(weight.device())?)?);
        let state = ParameterState {
            average: Some(load(average)?),
            moments: [load(first)?, load(second)?],
        };
        update(&state)?;
        let vars = state.average.iter().chain(&state.moments);
        for (piece, var) in [average, first, second].into_iter().zip(vars) {
            // A tensor in memory has changed in place.
            if let Piece::Stored(_) = piece {
                piece.set(var)?;
            }
        }
        Ok(())
    }
}
