//! Training of a Glow on images in memory.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

use candle_core::Device;
use flow_core::train::{Data, Optimization};
use flow_data::{Batch, Batches, Dataset};
use flow_glow::{
    Dequantization, Error, GlowConfig, ImageShape, Preprocessing, Result, TrainSettings, Trainer,
};
use numpy::PyUntypedArray;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::glow::{self, Glow};
use crate::training::{self, Link};
use crate::{arrays, errors};

/// Returns to the last good state after which a training gives up.
const MOST_ROLLBACKS: u32 = 20;

/// Sizes of a model and settings of its training.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Options {
    preset: String,
    levels: Option<usize>,
    steps: Option<usize>,
    last_steps: Option<usize>,
    width: Option<usize>,
    bits: u32,
    equalize: bool,
    learned_noise: bool,
    epochs: u64,
    batch_size: usize,
    learning_rate: Option<f64>,
    seed: u64,
}

/// A Glow trained on images u8 `[N, C, H, W]`, with the classes of `labels` if there are some.
/// `report` gets every epoch and its mean bits per dimension, and ends the training when it returns
/// true.
#[pyfunction]
pub(crate) fn train_glow(
    py: Python<'_>,
    images: &Bound<'_, PyUntypedArray>,
    labels: Option<Vec<u32>>,
    classes: usize,
    options: Options,
    report: Py<PyAny>,
) -> PyResult<Glow> {
    let (pixels, [count, channels, height, width]) = arrays::images(images)?;
    if count < options.batch_size {
        let size = options.batch_size;
        let message = format!("{count} images are fewer than one batch of {size}");
        return Err(PyValueError::new_err(message));
    }
    let names = (0..classes).map(|class| class.to_string()).collect();
    let labels = labels.unwrap_or_else(|| vec![0; count]);
    let shape = (channels, height, width);
    let dataset = Dataset::new("an array", names, shape, pixels, labels);
    let dataset = dataset.map_err(errors::value)?;
    let histogram = dataset.histogram().map_err(errors::value)?;
    let config = options.config(
        ImageShape::new(channels, height, width),
        classes,
        &histogram,
    )?;
    let settings = options.settings(classes)?;
    let train = |link: &Link<(u64, f64)>| train(&dataset, &config, settings, &options, link);
    let bytes = training::beside(py, train, |py, report_of: (u64, f64)| {
        report.call1(py, report_of)?.is_truthy(py)
    })?;
    Glow::from_bytes(&bytes.map_err(glow::error)?)
}

impl Options {
    fn config(
        &self,
        image: ImageShape,
        classes: usize,
        histogram: &[u64; 256],
    ) -> PyResult<GlowConfig> {
        let preset = match self.preset.as_str() {
            "small" => GlowConfig::small(image),
            "base" => GlowConfig::base(image),
            "paper" => GlowConfig::paper(image),
            other => {
                let message = format!("preset must be small, base or paper, not `{other}`");
                return Err(PyValueError::new_err(message));
            }
        };
        let preprocessing = if self.equalize {
            Preprocessing::equalized(histogram, self.bits)
        } else {
            preset.preprocessing.clone()
        };
        let dequantization = if self.learned_noise {
            Dequantization::VARIATIONAL
        } else {
            Dequantization::Uniform
        };
        let config = GlowConfig {
            levels: self.levels.unwrap_or(preset.levels),
            steps: self.steps.unwrap_or(preset.steps),
            last_steps: self.last_steps,
            width: self.width.unwrap_or(preset.width),
            bits: self.bits,
            classes: (classes > 0).then_some(classes),
            preprocessing,
            dequantization,
            ..preset
        };
        config.validate().map_err(glow::error)?;
        Ok(config)
    }

    fn settings(&self, classes: usize) -> PyResult<TrainSettings> {
        let settings = match self.preset.as_str() {
            "base" => TrainSettings::base(),
            "paper" => TrainSettings::paper(),
            _ => TrainSettings::default(),
        };
        let rate = settings.optimization.learning_rate;
        let settings = TrainSettings {
            batch_size: self.batch_size,
            optimization: Optimization {
                learning_rate: self.learning_rate.unwrap_or(rate),
                ..settings.optimization
            },
            classification: match classes {
                0 => 0.0,
                _ => TrainSettings::CLASSIFICATION,
            },
            seed: self.seed,
            ..settings
        };
        settings.validate().map_err(glow::error)?;
        Ok(settings)
    }
}

/// The file of the model after the training.
fn train(
    dataset: &Dataset,
    config: &GlowConfig,
    settings: TrainSettings,
    options: &Options,
    link: &Link<(u64, f64)>,
) -> Result<Vec<u8>> {
    let interrupt = link.interrupt();
    let seed = settings.seed;
    let mut trainer = Trainer::new(config, settings, dataset.name(), &Device::Cpu)?;
    let first = TrainSettings::FIRST_IMAGES.min(dataset.len());
    for batch in Batches::new(dataset, first, seed, 0).take(1) {
        trainer.initialize(data(&batch, config)?)?;
    }
    let batches = (dataset.len() / options.batch_size) as u64;
    let (mut passed, mut doubted) = (0_u64, false);
    for epoch in 0..options.epochs {
        let (mut sum, mut steps, mut refused) = (0.0, 0_u32, None);
        for batch in Batches::new(dataset, options.batch_size, seed, epoch) {
            if interrupt.load(Ordering::Relaxed) {
                return Err(Error::Config("the training was interrupted".into()));
            }
            let done = passed as f64 / (batches * options.epochs) as f64;
            passed += 1;
            match trainer.gradient(data(&batch, config)?) {
                Ok(gradient) => {
                    sum += trainer.apply(gradient, done)?.bits_per_dim;
                    steps += 1;
                    doubted = false;
                }
                // One batch may be an outlier; after a second one the weights are doubted.
                Err(error @ Error::Diverged { .. }) => {
                    if doubted {
                        trainer.roll_back()?;
                    }
                    if trainer.progress.rollbacks > MOST_ROLLBACKS {
                        return Err(error);
                    }
                    doubted = !doubted;
                    trainer.progress.step += 1;
                    refused = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(error) = refused.filter(|_| steps == 0) {
            return Err(error);
        }
        trainer.progress.epoch = epoch + 1;
        if link.report((epoch + 1, sum / f64::from(steps))) == ControlFlow::Break(()) {
            break;
        }
    }
    trainer.model_bytes()
}

fn data(batch: &flow_data::Result<Batch>, config: &GlowConfig) -> Result<Data> {
    let batch = batch
        .as_ref()
        .map_err(|error| Error::Config(error.to_string()))?;
    Ok(match config.classes {
        Some(_) => (&batch.images, &batch.labels).into(),
        None => Data::from(&batch.images),
    })
}
