//! Glows of images.

use std::f64::consts::LN_2;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use flow_analysis::outliers;
use flow_core::train::Data;
use flow_core::transfer;
use flow_glow::{Checkpoint, Error, GlowConfig, Latents};
use numpy::PyUntypedArray;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::{arrays, errors, threads};

type Array<'a, 'py> = &'a Bound<'py, PyUntypedArray>;

/// The models that ship, by name.
const PRETRAINED: [(&str, &[u8]); 2] = [
    (
        "mnist",
        include_bytes!("../../../assets/models/mnist.safetensors"),
    ),
    (
        "mnist-classes",
        include_bytes!("../../../assets/models/mnist-classes.safetensors"),
    ),
];

/// A Glow and its file, which never change.
#[pyclass(frozen, module = "flow._native")]
pub(crate) struct Glow {
    checkpoint: Checkpoint,
    /// The same model in f64, if it was asked for.
    double: Option<flow_glow::Glow>,
}

/// Labels of images, or numbers that they are conditioned on.
#[derive(FromPyObject)]
enum Given<'py> {
    Labels(Vec<u32>),
    Numbers(Bound<'py, PyUntypedArray>),
}

#[pymethods]
impl Glow {
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let checkpoint = py.detach(|| Checkpoint::load(&path, &Device::Cpu));
        Ok(Self::of(checkpoint.map_err(error)?))
    }

    #[staticmethod]
    fn pretrained(name: &str) -> PyResult<Self> {
        let Some((_, bytes)) = PRETRAINED.iter().find(|(known, _)| *known == name) else {
            let known = PRETRAINED.map(|(known, _)| known).join("` and `");
            let message = format!("there is no pretrained model `{name}`, only `{known}`");
            return Err(PyValueError::new_err(message));
        };
        Self::from_bytes(bytes)
    }

    #[staticmethod]
    pub(crate) fn from_bytes(bytes: &[u8]) -> PyResult<Self> {
        let name = Path::new("bytes of a model");
        let checkpoint = Checkpoint::from_bytes(name, bytes, &Device::Cpu);
        Ok(Self::of(checkpoint.map_err(error)?))
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = self.checkpoint.to_bytes().map_err(error)?;
        Ok(PyBytes::new(py, &bytes))
    }

    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        py.detach(|| self.checkpoint.write(&path)).map_err(error)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Py<PyAny>, (Bound<'py, PyBytes>,))> {
        let from_bytes = py.get_type::<Self>().getattr("from_bytes")?.unbind();
        Ok((from_bytes, (self.to_bytes(py)?,)))
    }

    /// The same model in f64.
    fn in_double(&self) -> PyResult<Self> {
        let bytes = self.checkpoint.to_bytes().map_err(error)?;
        let Self { checkpoint, .. } = Self::from_bytes(&bytes)?;
        let double = checkpoint.in_f64().map_err(error)?;
        Ok(Self {
            checkpoint,
            double: Some(double),
        })
    }

    /// Channels, height and width of an image.
    #[getter]
    fn shape(&self) -> [usize; 3] {
        let image = self.config().image;
        [image.channels, image.height, image.width]
    }

    /// The number of classes; 0 for a model without them.
    #[getter]
    fn classes(&self) -> usize {
        self.config().classes.unwrap_or(0)
    }

    /// The header of the file as JSON.
    #[getter]
    fn header(&self) -> PyResult<String> {
        serde_json::to_string(&self.checkpoint.header).map_err(errors::value)
    }

    /// The number of parameters.
    #[getter]
    fn parameters(&self) -> usize {
        self.checkpoint.parameters
    }

    /// ln p of images in nats, and bits per dimension, `[B]` each.
    #[pyo3(signature = (images, seed, given=None))]
    fn log_prob(
        &self,
        py: Python<'_>,
        images: Array<'_, '_>,
        seed: u64,
        given: Option<Given<'_>>,
    ) -> PyResult<(Vec<f64>, Vec<f64>)> {
        let (images, given) = (self.images(images)?, self.given(given)?);
        let observed = threads::outside(py, || {
            let (x, offset) = self.model().dequantize(&images, seed)?;
            let data = match &given {
                Some(given) => Data::from((&x, given)),
                None => Data::from(&x),
            };
            outliers::observe(self.model(), &data, &offset)
        })?;
        let observed = observed.map_err(errors::value)?;
        let bits = observed.iter().map(|one| one.bits_per_dim);
        let bits = bits.collect::<Vec<_>>();
        let nats = -LN_2 * self.config().image.dimensions() as f64;
        Ok((bits.iter().map(|bits| nats * bits).collect(), bits))
    }

    /// Latents of images, an array a level.
    #[pyo3(signature = (images, given=None))]
    fn encode<'py>(
        &self,
        py: Python<'py>,
        images: Array<'_, 'py>,
        given: Option<Given<'py>>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let (images, given) = (self.images(images)?, self.given(given)?);
        let Latents(latents) = run(py, || match &given {
            Some(given) => self.model().given(given)?.encode_images(&images),
            None => self.model().encode_images(&images),
        })?;
        let latents = latents.iter().map(|latent| arrays::array(py, latent));
        latents.collect()
    }

    /// Images u8 of latents.
    #[pyo3(signature = (latents, given=None))]
    fn decode<'py>(
        &self,
        py: Python<'py>,
        latents: Vec<Bound<'py, PyUntypedArray>>,
        given: Option<Given<'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let shapes = self.model().latent_shapes();
        let shapes = shapes.iter().collect::<Vec<_>>();
        if latents.len() != shapes.len() {
            let (found, needed) = (latents.len(), shapes.len());
            let message = format!("latents must have {needed} levels, not {found}");
            return Err(PyValueError::new_err(message));
        }
        let level = |(index, latent): (usize, &Bound<'py, PyUntypedArray>)| {
            let name = format!("the latent of level {index}");
            arrays::samples(&name, latent, &shapes[index], self.model().dtype())
        };
        let latents = latents.iter().enumerate().map(level);
        let latents = Latents(latents.collect::<PyResult<_>>()?);
        let given = self.given(given)?;
        let images = run(py, || match &given {
            Some(given) => self.model().given(given)?.decode_images(&latents),
            None => self.model().decode_images(&latents),
        })?;
        arrays::array(py, &images)
    }

    /// Draws of images u8.
    #[pyo3(signature = (count, temperature, seed, given=None))]
    fn sample<'py>(
        &self,
        py: Python<'py>,
        count: usize,
        temperature: f64,
        seed: u64,
        given: Option<Given<'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let given = self.given(given)?;
        let images = run(py, || {
            let model = match &given {
                Some(given) => self.model().given(given)?,
                None => self.model().unconditional(),
            };
            model
                .at_temperature(temperature)?
                .sample_images(count, seed)
        })?;
        arrays::array(py, &images)
    }

    /// p(class | image), `[B, classes]`, under equally likely classes.
    fn class_posterior<'py>(
        &self,
        py: Python<'py>,
        images: Array<'_, 'py>,
        seed: u64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let images = self.images(images)?;
        let posterior = run(py, || {
            let (x, _) = self.model().dequantize(&images, seed)?;
            Ok(self.model().class_log_posteriors(&x)?.exp()?)
        })?;
        arrays::array(py, &posterior)
    }
}

impl Glow {
    pub(crate) fn of(checkpoint: Checkpoint) -> Self {
        Self {
            checkpoint,
            double: None,
        }
    }

    pub(crate) fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    fn model(&self) -> &flow_glow::Glow {
        self.double.as_ref().unwrap_or(&self.checkpoint.model)
    }

    fn config(&self) -> &GlowConfig {
        self.model().config()
    }

    fn images(&self, array: Array<'_, '_>) -> PyResult<Tensor> {
        let (pixels, shape) = arrays::images(array)?;
        if shape[1..] != self.shape() {
            let (found, needed) = (&shape[1..], self.shape());
            let message = format!("images must have the shape (n, {needed:?}), not (n, {found:?})");
            return Err(PyValueError::new_err(message));
        }
        Tensor::from_vec(pixels, &shape, &Device::Cpu).map_err(errors::value)
    }

    /// The condition of images: labels `[B]`, or numbers `[B, K]`.
    fn given(&self, given: Option<Given<'_>>) -> PyResult<Option<Tensor>> {
        Ok(match given {
            None => None,
            Some(Given::Labels(labels)) => {
                let classes = self.classes() as u32;
                if let Some(label) = labels.iter().find(|label| **label >= classes) {
                    let message = match classes {
                        0 => "the model has no classes, and takes no label".to_owned(),
                        _ => format!("there is no class {label} of {classes}"),
                    };
                    return Err(PyValueError::new_err(message));
                }
                let count = labels.len();
                let labels = transfer::upload(labels, count, DType::U32, &Device::Cpu);
                Some(labels.map_err(errors::value)?)
            }
            Some(Given::Numbers(numbers)) => {
                let Some(condition) = &self.config().condition else {
                    let message = "the model takes no condition";
                    return Err(PyValueError::new_err(message));
                };
                let columns = condition.columns.len();
                Some(arrays::matrix("condition", &numbers, columns, DType::F32)?)
            }
        })
    }
}

/// The result of `work` on the threads of this process, without the interpreter.
pub(crate) fn run<T: Send>(
    py: Python<'_>,
    work: impl FnOnce() -> flow_glow::Result<T> + Send,
) -> PyResult<T> {
    threads::outside(py, work)?.map_err(error)
}

/// The exception for an error of a Glow.
pub(crate) fn error(error: Error) -> PyErr {
    match error {
        Error::Io { path, source, .. } => errors::system(&path, &source),
        error => errors::value(error),
    }
}
