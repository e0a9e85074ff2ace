//! Flows of vectors.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Result, Tensor};
use flow_core::Bijection;
use flow_core::calibration::Calibration;
use flow_core::train::{Data, Epoch};
use numpy::PyUntypedArray;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use serde_json::Value;

use crate::recipe::{Settings, Sizes};
use crate::{arrays, errors, threads, training};

/// A flow of vectors and its parameters, which never change.
#[pyclass(frozen, module = "flow._native")]
pub(crate) struct Model {
    model: flow_core::Model,
}

type Array<'a, 'py> = &'a Bound<'py, PyUntypedArray>;

/// Ranks for each number of a truth, levels for each truth, p-values for each number.
type Ranks = (Vec<Vec<usize>>, Vec<f64>, Vec<f64>);

#[pymethods]
impl Model {
    /// A model fitted to `x` `[N, D]`, and a dict of the best epoch. It gets the `notes`, a JSON
    /// object, and in them the numbers of epochs and of the best one. `report` gets every epoch as
    /// (epoch, train, validation, best), and ends the fit when it returns true.
    #[staticmethod]
    #[pyo3(signature = (x, context, weights, dtype, sizes, settings, notes, report))]
    #[allow(clippy::too_many_arguments, reason = "called from one place, by name")]
    fn fit<'py>(
        py: Python<'py>,
        x: Array<'_, 'py>,
        context: Option<Array<'_, 'py>>,
        weights: Option<Vec<f64>>,
        dtype: &str,
        sizes: Sizes,
        settings: Settings,
        notes: &str,
        report: Py<PyAny>,
    ) -> PyResult<(Self, Bound<'py, PyDict>)> {
        let dtype = dtype_of(dtype)?;
        let x = arrays::matrix("X", x, sizes.features, dtype)?;
        let mut data = match context {
            Some(context) => {
                let context = arrays::matrix("context", context, sizes.context, dtype)?;
                Data::from((&x, &context))
            }
            None => Data::from(&x),
        };
        if let Some(weights) = weights {
            data = data.weighted(&weights).map_err(errors::value)?;
        }
        let recipe = sizes.recipe()?;
        let mut notes: Value = serde_json::from_str(notes).map_err(errors::value)?;
        let model = recipe
            .standardize(&data)
            .and_then(|recipe| recipe.build(settings.seed, dtype, &Device::Cpu));
        let mut model = model.map_err(errors::value)?;
        let fit = training::beside(
            py,
            |link| {
                let settings = settings.fit(link.interrupt());
                model.fit(&data, &settings, |epoch| link.report(*epoch))
            },
            |py, epoch: Epoch| {
                let Epoch {
                    epoch,
                    train,
                    validation,
                    best,
                    ..
                } = epoch;
                report
                    .call1(py, (epoch, train, validation, best))?
                    .is_truthy(py)
            },
        )?;
        let fit = fit.map_err(errors::value)?;
        notes["epochs"] = fit.epochs.into();
        notes["best_epoch"] = fit.best.epoch.into();
        model.notes = notes;
        let result = PyDict::new(py);
        result.set_item("epochs", fit.epochs)?;
        result.set_item("best_epoch", fit.best.epoch)?;
        result.set_item("steps", fit.best.steps)?;
        result.set_item("train", fit.best.train)?;
        result.set_item("validation", fit.best.validation)?;
        Ok((Self { model }, result))
    }

    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let model = py.detach(|| flow_core::Model::load(&path, &Device::Cpu));
        Ok(Self {
            model: model.map_err(errors::file)?,
        })
    }

    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        py.detach(|| self.model.save(&path)).map_err(errors::file)
    }

    #[staticmethod]
    fn from_bytes(bytes: &[u8]) -> PyResult<Self> {
        let name = Path::new("bytes of a model");
        let model = flow_core::Model::from_bytes(name, bytes, &Device::Cpu);
        Ok(Self {
            model: model.map_err(errors::file)?,
        })
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = self.model.to_bytes().map_err(errors::file)?;
        Ok(PyBytes::new(py, &bytes))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Py<PyAny>, (Bound<'py, PyBytes>,))> {
        let from_bytes = py.get_type::<Self>().getattr("from_bytes")?.unbind();
        Ok((from_bytes, (self.to_bytes(py)?,)))
    }

    /// The size of a sample.
    #[getter]
    fn features(&self) -> usize {
        self.model.architecture().features
    }

    /// The size of a context; 0 if it takes none.
    #[getter]
    fn context(&self) -> usize {
        let context = self.model.architecture().context.as_ref();
        context.map_or(0, |context| context.size)
    }

    /// "float32" or "float64".
    #[getter]
    fn dtype(&self) -> &'static str {
        match self.model.dtype() {
            DType::F64 => "float64",
            _ => "float32",
        }
    }

    /// The layers, and the notes of the program that fitted it, as JSON.
    #[getter]
    fn description(&self) -> PyResult<(String, String)> {
        let architecture = serde_json::to_string(self.model.architecture());
        let architecture = architecture.map_err(errors::value)?;
        Ok((architecture, self.model.notes.to_string()))
    }

    /// The number of parameters.
    #[getter]
    fn parameters(&self) -> usize {
        let vars = self.model.params().vars();
        vars.iter().map(|(_, var)| var.elem_count()).sum()
    }

    #[pyo3(signature = (x, context=None))]
    fn log_prob<'py>(
        &self,
        py: Python<'py>,
        x: Array<'_, 'py>,
        context: Option<Array<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let x = self.samples("X", x)?;
        let [log_prob] = self.with(py, context, Some(&x), |flow| Ok([flow.log_prob(&x)?]))?;
        arrays::array(py, &log_prob)
    }

    /// Latents of `x` and ln|det ∂z/∂x|.
    #[pyo3(signature = (x, context=None))]
    fn encode<'py>(
        &self,
        py: Python<'py>,
        x: Array<'_, 'py>,
        context: Option<Array<'_, 'py>>,
    ) -> PyResult<[Bound<'py, PyAny>; 2]> {
        let x = self.samples("X", x)?;
        let results = self.with(py, context, Some(&x), |flow| Ok(flow.encode(&x)?.into()))?;
        both(py, &results)
    }

    #[pyo3(signature = (z, context=None))]
    fn decode<'py>(
        &self,
        py: Python<'py>,
        z: Array<'_, 'py>,
        context: Option<Array<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let z = self.samples("Z", z)?;
        let [x] = self.with(py, context, Some(&z), |flow| Ok([flow.decode(&z)?]))?;
        arrays::array(py, &x)
    }

    /// `count` draws `[count, D]`, given one context or none.
    #[pyo3(signature = (count, seed, context=None))]
    fn sample<'py>(
        &self,
        py: Python<'py>,
        count: usize,
        seed: u64,
        context: Option<Array<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let [x] = self.with(py, context, None, |flow| Ok([flow.sample(count, seed)?]))?;
        arrays::array(py, &x)
    }

    /// Draws and ln p of each.
    #[pyo3(signature = (count, seed, context=None))]
    fn sample_with_log_prob<'py>(
        &self,
        py: Python<'py>,
        count: usize,
        seed: u64,
        context: Option<Array<'_, 'py>>,
    ) -> PyResult<[Bound<'py, PyAny>; 2]> {
        let results = self.with(py, context, None, |flow| {
            Ok(flow.sample_with_log_prob(count, seed)?.into())
        })?;
        both(py, &results)
    }

    /// `count` draws for each of the contexts `[M, K]`, `[M, count, D]`.
    fn sample_each<'py>(
        &self,
        py: Python<'py>,
        count: usize,
        seed: u64,
        contexts: Array<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let [x] = self.each(py, contexts, |contexts| {
            Ok([self.model.sample_each(count, contexts, seed)?])
        })?;
        arrays::array(py, &x)
    }

    /// The draws for each context, and ln p of each, `[M, count]`.
    fn sample_each_with_log_prob<'py>(
        &self,
        py: Python<'py>,
        count: usize,
        seed: u64,
        contexts: Array<'_, 'py>,
    ) -> PyResult<[Bound<'py, PyAny>; 2]> {
        let results = self.each(py, contexts, |contexts| {
            let drawn = self
                .model
                .sample_each_with_log_prob(count, contexts, seed)?;
            Ok(drawn.into())
        })?;
        both(py, &results)
    }

    /// Ranks of `x` among `draws` draws for each of their contexts, and the shares of draws that are
    /// denser.
    fn calibration<'py>(
        &self,
        py: Python<'py>,
        x: Array<'_, 'py>,
        contexts: Array<'_, 'py>,
        draws: usize,
        seed: u64,
    ) -> PyResult<Ranks> {
        let (x, contexts) = (self.samples("X", x)?, self.contexts(contexts)?);
        let found = threads::outside(py, || {
            Calibration::of(&self.model, (&x, &contexts), draws, seed)
        })?;
        let found = found.map_err(errors::value)?;
        let p_values = found.uniformity().iter().map(|test| test.p_value).collect();
        Ok((found.ranks, found.levels, p_values))
    }
}

type Flow<'a> = flow_core::Flow<Box<dyn Bijection + 'a>>;

impl Model {
    fn samples(&self, name: &str, array: Array<'_, '_>) -> PyResult<Tensor> {
        arrays::matrix(name, array, self.features(), self.model.dtype())
    }

    fn contexts(&self, array: Array<'_, '_>) -> PyResult<Tensor> {
        if self.context() == 0 {
            let message = "the flow was fitted without a context, and takes none";
            return Err(PyValueError::new_err(message));
        }
        arrays::matrix("context", array, self.context(), self.model.dtype())
    }

    /// The result of `work` on contexts `[M, K]`, without the interpreter.
    fn each<const N: usize>(
        &self,
        py: Python<'_>,
        contexts: Array<'_, '_>,
        work: impl FnOnce(&Tensor) -> Result<[Tensor; N]> + Send,
    ) -> PyResult<[Tensor; N]> {
        let contexts = self.contexts(contexts)?;
        threads::outside(py, move || work(&contexts))?.map_err(errors::value)
    }

    /// The result of `work`, without the interpreter, on the flow of a context; it has one row, or
    /// one for each row of `x`.
    fn with<const N: usize>(
        &self,
        py: Python<'_>,
        context: Option<Array<'_, '_>>,
        x: Option<&Tensor>,
        work: impl FnOnce(&Flow<'_>) -> Result<[Tensor; N]> + Send,
    ) -> PyResult<[Tensor; N]> {
        let context = context.map(|context| self.contexts(context)).transpose()?;
        match &context {
            None if self.context() > 0 => {
                let message = "the flow was fitted with a context; give `context`";
                return Err(PyValueError::new_err(message));
            }
            Some(context) => {
                let rows = context.dims()[0];
                let needed = x.map_or(1, |x| x.dims()[0]);
                if rows != 1 && rows != needed {
                    let message = format!("context must have 1 row or {needed}, not {rows}");
                    return Err(PyValueError::new_err(message));
                }
            }
            None => {}
        }
        let results = threads::outside(py, move || match &context {
            Some(context) => work(&self.model.given(context)?),
            None => work(&self.model.unconditional()),
        })?;
        results.map_err(errors::value)
    }
}

fn both<'py>(py: Python<'py>, [a, b]: &[Tensor; 2]) -> PyResult<[Bound<'py, PyAny>; 2]> {
    Ok([arrays::array(py, a)?, arrays::array(py, b)?])
}

fn dtype_of(name: &str) -> PyResult<DType> {
    match name {
        "float32" => Ok(DType::F32),
        "float64" => Ok(DType::F64),
        _ => Err(PyValueError::new_err(format!(
            "dtype must be float32 or float64, not {name}"
        ))),
    }
}
