//! A small convolutional network that tells digits apart. The outputs of its last hidden layer are
//! the features in which samples are compared: there, distances follow what digits look like, not
//! pixels.

use std::{fs, io::Write, path::Path};

use anyhow::{Context, Result, ensure};
use atomic_write_file::AtomicWriteFile;
use candle_core::{D, DType, Device, Tensor};
use candle_nn::{AdamW, Conv2d, Conv2dConfig, Linear, Module, Optimizer, loss};
use flow_core::params::{Init, ParamBuilder, ParamStore};
use flow_data::{Batches, Dataset};

/// Features of an image.
const FEATURES: usize = 64;

const CHANNELS: [usize; 3] = [1, 16, 32];

/// Pixels a side after both convolutions and what follows them.
const SIDE: usize = 7;

const BATCH: usize = 100;
const EPOCHS: u64 = 3;
const LEARNING_RATE: f64 = 2e-3;
const SEED: u64 = 0;

/// A classifier that knows digits no better says little of samples.
const LEAST_ACCURACY: f64 = 0.985;

/// The network.
pub(super) struct Classifier {
    convolutions: [Conv2d; 2],
    hidden: Linear,
    last: Linear,
}

impl Classifier {
    /// The one in the file at `path`, or if there is none, one that is trained now and saved there.
    pub(super) fn open(path: &Path, train: &Dataset, test: &Dataset) -> Result<Self> {
        let classifier = if path.exists() {
            let read = || {
                let params =
                    ParamStore::from_tensors(flow_glow::read_tensors(path, &Device::Cpu)?)?;
                anyhow::Ok(Self::new(&params)?)
            };
            read().with_context(|| {
                let path = path.display();
                format!("cannot read the classifier `{path}`; remove it to train another")
            })?
        } else {
            let params = ParamStore::new(SEED);
            let classifier = Self::new(&params)?;
            classifier.train(&params, train)?;
            save(&params, path).with_context(|| format!("cannot write `{}`", path.display()))?;
            classifier
        };
        let accuracy = classifier.accuracy(test)?;
        println!(
            "`{}` knows {:.2} % of the {} test images",
            path.display(),
            100.0 * accuracy,
            test.len()
        );
        ensure!(
            accuracy >= LEAST_ACCURACY,
            "`{}` should know {} % of them; remove it to train another",
            path.display(),
            100.0 * LEAST_ACCURACY
        );
        Ok(classifier)
    }

    fn new(params: &ParamStore) -> candle_core::Result<Self> {
        let params = params.builder(DType::F32, &Device::Cpu);
        let [input, middle, output] = CHANNELS;
        Ok(Self {
            convolutions: [
                convolution(input, middle, params.pp("convolution.0"))?,
                convolution(middle, output, params.pp("convolution.1"))?,
            ],
            hidden: linear(output * SIDE * SIDE, FEATURES, params.pp("hidden"))?,
            last: linear(FEATURES, 10, params.pp("last"))?,
        })
    }

    /// The features of u8 images `[N, 1, 28, 28]`, `[N, FEATURES]`.
    pub(super) fn features(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        let count = images.dim(0)?;
        let parts = (0..count).step_by(BATCH).map(|start| {
            let part = images.narrow(0, start, BATCH.min(count - start))?;
            Ok(self.hidden_layer(&part)?.detach())
        });
        Tensor::cat(&parts.collect::<candle_core::Result<Vec<_>>>()?, 0)
    }

    fn hidden_layer(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        let mut x = (images.to_dtype(DType::F32)? / 255.0)?;
        for convolution in &self.convolutions {
            x = convolution.forward(&x)?.relu()?.max_pool2d(2)?;
        }
        self.hidden.forward(&x.flatten_from(1)?)?.relu()
    }

    fn logits(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        self.last.forward(&self.hidden_layer(images)?)
    }

    fn train(&self, params: &ParamStore, dataset: &Dataset) -> Result<()> {
        let vars = params.vars().into_iter().map(|(_, var)| var).collect();
        let mut optimizer = AdamW::new_lr(vars, LEARNING_RATE)?;
        let steps = EPOCHS * (dataset.len() / BATCH) as u64;
        let bar = indicatif::ProgressBar::new(steps);
        for epoch in 0..EPOCHS {
            for batch in Batches::new(dataset, BATCH, SEED, epoch) {
                let batch = batch?;
                let loss = loss::cross_entropy(&self.logits(&batch.images)?, &batch.labels)?;
                let left = 1.0 - bar.position() as f64 / steps as f64;
                optimizer.set_learning_rate(LEARNING_RATE * left);
                optimizer.backward_step(&loss)?;
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// The share of images whose class it finds.
    fn accuracy(&self, dataset: &Dataset) -> Result<f64> {
        let mut right = 0.0;
        for batch in dataset.in_order(BATCH) {
            let batch = batch?;
            let found = self.logits(&batch.images)?.argmax(D::Minus1)?;
            let same = found.eq(&batch.labels)?.to_dtype(DType::F64)?;
            right += same.sum_all()?.to_scalar::<f64>()?;
        }
        Ok(right / dataset.len() as f64)
    }
}

fn convolution(inputs: usize, outputs: usize, params: ParamBuilder) -> candle_core::Result<Conv2d> {
    let weight = weight((outputs, inputs, 3, 3).into(), &params)?;
    let config = Conv2dConfig {
        padding: 1,
        ..Conv2dConfig::default()
    };
    Ok(Conv2d::new(weight, Some(bias(outputs, &params)?), config))
}

fn linear(inputs: usize, outputs: usize, params: ParamBuilder) -> candle_core::Result<Linear> {
    let weight = weight((outputs, inputs).into(), &params)?;
    Ok(Linear::new(weight, Some(bias(outputs, &params)?)))
}

/// Drawn so that a ReLU behind it keeps the variance (He et al. 2015, arXiv:1502.01852).
fn weight(shape: candle_core::Shape, params: &ParamBuilder) -> candle_core::Result<Tensor> {
    let inputs = shape.elem_count() / shape.dims()[0];
    let std = (2.0 / inputs as f64).sqrt();
    params.get_with_hints(shape, "weight", Init::Normal { std })
}

fn bias(outputs: usize, params: &ParamBuilder) -> candle_core::Result<Tensor> {
    params.get_with_hints(outputs, "bias", Init::Zeros)
}

fn save(params: &ParamStore, path: &Path) -> Result<()> {
    let tensors = params.vars().into_iter();
    let tensors = tensors.map(|(name, var)| (name, var.as_tensor().clone()));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = AtomicWriteFile::open(path)?;
    file.write_all(&safetensors::serialize(tensors, None)?)?;
    Ok(file.commit()?)
}
