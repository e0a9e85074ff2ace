//! A flow of vectors with its parameters.

#[cfg(feature = "file")]
mod file;

use crate::params::ParamStore;
use crate::train::{
    self, Data, Epoch, Fit, FitSettings, ReverseKlSettings, ReverseKlStep, Training,
};
use crate::{Architecture, Flow, Result};
use candle_core::{DType, Device, Tensor};
use std::ops::{ControlFlow, Deref};

/// A flow of vectors that owns its parameters: it is fitted, scored, sampled, saved and loaded as
/// one thing. It derefs to its [`Flow`], whose methods score and sample.
///
/// ```
/// use candle_core::{DType, Device};
/// use flow_core::train::FitSettings;
/// use flow_core::{random, recipes};
/// use std::ops::ControlFlow;
///
/// let x = random::normal(0, (500, 2), DType::F32, &Device::Cpu)?;
/// let recipe = recipes::realnvp(2).layers(2).width(16).standardize(&x)?;
/// let model = recipe.build(0, DType::F32, &Device::Cpu)?;
/// let settings = FitSettings { max_steps: 20, ..FitSettings::default() };
/// model.fit(&x, &settings, |_| ControlFlow::Continue(()))?;
/// assert_eq!(model.log_prob(&model.sample(5, 1)?)?.dims(), [5]);
/// # candle_core::Result::Ok(())
/// ```
///
/// With the feature `file`, [`save`](Self::save) and [`load`](Self::load) keep it in a file.
pub struct Model {
    architecture: Architecture,
    params: ParamStore,
    dtype: DType,
    flow: Flow,
    /// Notes of the program that fitted it, such as the names of columns. They go with the file.
    #[cfg(feature = "file")]
    pub notes: serde_json::Value,
}

impl Model {
    /// A fresh model; parameters are drawn from `seed`.
    ///
    /// # Errors
    /// If a layer does not fit the number of features.
    pub fn new(
        architecture: Architecture,
        seed: u64,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        Self::with(architecture, ParamStore::new(seed), dtype, device)
    }

    fn with(
        architecture: Architecture,
        params: ParamStore,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let flow = architecture.flow(&params.builder(dtype, device))?;
        Ok(Self {
            architecture,
            params,
            dtype,
            flow,
            #[cfg(feature = "file")]
            notes: serde_json::Value::Null,
        })
    }

    /// Maximises the likelihood of `data`, as [`train::fit`] does.
    ///
    /// # Errors
    /// As [`train::fit`].
    pub fn fit(
        &self,
        data: impl Into<Data>,
        settings: &FitSettings,
        progress: impl FnMut(&Epoch) -> ControlFlow<()>,
    ) -> Result<Fit> {
        train::fit(&self.flow, &self.params, data, settings, progress)
    }

    /// As [`fit`](Self::fit), from where `training` stopped.
    ///
    /// # Errors
    /// As [`Training::fit`].
    pub fn resume(
        &self,
        training: &mut Training,
        data: impl Into<Data>,
        settings: &FitSettings,
        progress: impl FnMut(&Epoch) -> ControlFlow<()>,
    ) -> Result<Fit> {
        training.fit(&self.flow, &self.params, data, settings, progress)
    }

    /// As [`fit`](Self::fit), to batches that are not in memory together, as
    /// [`train::fit_batches`] does.
    ///
    /// # Errors
    /// As [`train::fit_batches`].
    pub fn fit_batches<I: Iterator<Item = Result<Data>>>(
        &self,
        batches: impl FnMut(usize) -> I,
        settings: &FitSettings,
        progress: impl FnMut(&Epoch) -> ControlFlow<()>,
    ) -> Result<Fit> {
        train::fit_batches(&self.flow, &self.params, batches, settings, progress)
    }

    /// Minimises the divergence to an unnormalised density by draws of its own, as
    /// [`train::fit_reverse_kl`] does.
    ///
    /// # Errors
    /// As [`train::fit_reverse_kl`].
    pub fn fit_reverse_kl(
        &self,
        log_density: impl Fn(&Tensor) -> Result<Tensor> + Send + Sync,
        settings: &ReverseKlSettings,
        progress: impl FnMut(&ReverseKlStep) -> ControlFlow<()>,
    ) -> Result<()> {
        train::fit_reverse_kl(&self.flow, &self.params, log_density, settings, progress)
    }

    /// The description that it was built from.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The type of its parameters, and of samples.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Its parameters, for training loops of one's own.
    pub fn params(&self) -> &ParamStore {
        &self.params
    }
}

impl Deref for Model {
    type Target = Flow;

    fn deref(&self) -> &Flow {
        &self.flow
    }
}
