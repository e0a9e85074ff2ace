//! Files of trainings.

use super::{Training, Weights};
use crate::file::{self, Error, Floats, Piece, one_line};
use crate::params::ParamStore;
use crate::train::{Epoch, MemoryStore, ParameterState, Steps};
use candle_core::{Result, Tensor, Var, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The format that this version writes and reads.
const FORMAT: file::Format = file::Format {
    name: Some("training of vectors"),
    version: 1,
    max_header: 1 << 16,
};

/// Prefixes of names of tensors.
const LAST: &str = "last";
const BEST: &str = "best";
const AVERAGE: &str = "average";
const MOMENTS: [&str; 2] = ["first_moment", "second_moment"];

/// Marks headers of trainings.
#[derive(Clone, Copy, Serialize, Deserialize)]
enum Format {
    #[serde(rename = "training of vectors")]
    Training,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: Format,
    version: u32,
    steps: Steps,
    epoch: usize,
    best: Option<Epoch>,
}

impl Training {
    /// Writes the training to a safetensors file, atomically.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, path: &Path) -> std::result::Result<(), Error> {
        let header = Header {
            format: Format::Training,
            version: FORMAT.version,
            steps: self.steps.clone(),
            epoch: self.epoch,
            best: self.best,
        };
        let text = serde_json::to_string(&header).map_err(candle_core::Error::wrap)?;
        let mut pieces = Vec::new();
        let mut put = |part: &str, name: &str, tensor: &Tensor| {
            pieces.push((format!("{part}/{name}"), Piece::from(tensor.clone())));
        };
        for (part, weights) in [(BEST, Some(&self.weights)), (LAST, self.last.as_ref())] {
            for (name, _, value) in weights.into_iter().flat_map(|weights| &weights.0) {
                put(part, name, value);
            }
        }
        for (name, state) in self.store.iter() {
            for (part, moment) in MOMENTS.iter().zip(&state.moments) {
                put(part, name, &moment.as_detached_tensor());
            }
            if let Some(average) = &state.average {
                put(AVERAGE, name, &average.as_detached_tensor());
            }
        }
        file::write(path, text, pieces)
    }

    /// Reads a training of the parameters `params` that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// If the file cannot be read, holds something else, or its tensors are not those of `params`.
    pub fn load(path: &Path, params: &ParamStore) -> std::result::Result<Self, Error> {
        let device = params
            .vars()
            .first()
            .map_or(candle_core::Device::Cpu, |(_, var)| var.device().clone());
        let (header, mut tensors) =
            file::read(path, &device, Floats::Finite, |text| FORMAT.parse(text))?;
        let training =
            of(header, params, &mut tensors).and_then(|training| match tensors.keys().next() {
                Some(name) => bail!("tensor `{name}` does not belong to these parameters"),
                None => Ok(training),
            });
        training.map_err(|error| Error::Unusable {
            path: path.to_owned(),
            reason: one_line(error),
        })
    }
}

fn of(
    header: Header,
    params: &ParamStore,
    tensors: &mut BTreeMap<String, Tensor>,
) -> Result<Training> {
    let mut take = |part: &str, name: &str, var: &Var| -> Result<Option<Tensor>> {
        let Some(tensor) = tensors.remove(&format!("{part}/{name}")) else {
            return Ok(None);
        };
        if tensor.shape() != var.shape() || tensor.dtype() != var.dtype() {
            bail!(
                "tensor `{part}/{name}` is {:?} of {:?}, the parameter {:?} of {:?}",
                tensor.dtype(),
                tensor.shape(),
                var.dtype(),
                var.shape()
            );
        }
        Ok(Some(tensor))
    };
    let (mut best, mut last, mut states) = (Vec::new(), Vec::new(), BTreeMap::new());
    for (name, var) in params.vars() {
        let Some(value) = take(BEST, &name, &var)? else {
            bail!("tensor `{BEST}/{name}` is missing");
        };
        best.push((name.clone(), var.clone(), value));
        if let Some(value) = take(LAST, &name, &var)? {
            last.push((name.clone(), var.clone(), value));
        }
        let moments = [
            take(MOMENTS[0], &name, &var)?,
            take(MOMENTS[1], &name, &var)?,
        ];
        if let [Some(first), Some(second)] = moments {
            let average = take(AVERAGE, &name, &var)?;
            let average = average.map(|tensor| Var::from_tensor(&tensor));
            let state = ParameterState {
                average: average.transpose()?,
                moments: [Var::from_tensor(&first)?, Var::from_tensor(&second)?],
            };
            states.insert(name, state);
        }
    }
    if !last.is_empty() && last.len() < best.len() {
        bail!("some of the last weights are missing");
    }
    Ok(Training {
        steps: header.steps,
        store: MemoryStore::from(states),
        epoch: header.epoch,
        best: header.best,
        unsound_inversions: 0,
        weights: Weights(best),
        last: (!last.is_empty()).then_some(Weights(last)),
        gradient_failed: false,
        batch: None,
    })
}
