//! Sizes and settings of flow-core's recipes and fits.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use flow_core::recipes::{self, Recipe};
use flow_core::train::{FitSettings, Optimization, Validation};
use flow_core::{MlpSize, Spline};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// The sizes of a flow.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Sizes {
    recipe: String,
    pub(crate) features: usize,
    pub(crate) context: usize,
    layers: usize,
    width: usize,
    blocks: usize,
    bins: usize,
    bound: f64,
    embedding: usize,
}

impl Sizes {
    pub(crate) fn recipe(&self) -> PyResult<Recipe> {
        let Some(recipe) = recipes::by_name(&self.recipe) else {
            let message = format!("there is no recipe `{}`", self.recipe);
            return Err(PyValueError::new_err(message));
        };
        let spline = Spline {
            bins: self.bins,
            bound: self.bound,
            ..Spline::default()
        };
        let recipe = recipe(self.features)
            .layers(self.layers)
            .width(self.width)
            .blocks(self.blocks)
            .spline(spline)
            .context(self.context);
        Ok(match self.embedding {
            0 => recipe,
            outputs => recipe.embedding(MlpSize::default(), outputs),
        })
    }
}

/// The settings of a fit.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Settings {
    batch_size: usize,
    epochs: usize,
    learning_rate: f64,
    weight_decay: f64,
    validation_fraction: f64,
    patience: usize,
    pub(crate) seed: u64,
}

impl Settings {
    pub(crate) fn fit(&self, interrupt: Arc<AtomicBool>) -> FitSettings {
        FitSettings {
            batch_size: self.batch_size,
            epochs: self.epochs,
            optimization: Optimization {
                learning_rate: self.learning_rate,
                weight_decay: self.weight_decay,
                ..Optimization::default()
            },
            validation: Validation::Share(self.validation_fraction),
            patience: self.patience,
            seed: self.seed,
            interrupt: Some(interrupt),
            ..FitSettings::default()
        }
    }
}
