//! Locates the first NaN or infinity of a training step.

use super::batch;
use super::shard::Shard;
use super::trainer::Trainer;
use crate::{Result, quantize};
use candle_core::Tensor;
use flow_core::train::Data;
use flow_core::{Bijection, finite_rows};
use std::fmt;

/// Cause of a loss or gradient that is infinite or NaN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A weight of this name.
    Parameter(String),
    /// Numbers of some images.
    Images {
        /// The first layer of the model whose output is not finite, by the names of its parameters.
        part: String,
        /// Indices of the images in the batch, from 0.
        places: Vec<usize>,
    },
    /// The gradient of the parameter of this name.
    Gradient(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameter(name) => write!(f, "parameter `{name}` is not finite"),
            Self::Images { part, places } => {
                write!(
                    f,
                    "images {places:?} of the batch are not finite behind `{part}`"
                )
            }
            Self::Gradient(name) => write!(f, "the gradient of `{name}` is not finite"),
        }
    }
}

impl Trainer {
    /// The cause of a loss or gradient that is not finite, on the images and conditions of this
    /// rank's shard, as in [`shared_gradient`](Self::shared_gradient). `None` if both are finite.
    pub fn find_fault(&self, data: impl Into<Data>, shard: &Shard) -> Result<Option<Fault>> {
        let data = self.state.trainable.with_contexts(data.into())?;
        for (name, weight) in self.state.params.vars() {
            if !is_finite(&weight)? {
                return Ok(Some(Fault::Parameter(name)));
            }
        }
        if let Some(fault) = self.find_images(&data, shard)? {
            return Ok(Some(fault));
        }
        let (model, seed) = (self.fitted(shard), self.noise_seed());
        let (_, gradients) = batch::gradient(&model, &data, shard, seed)?;
        for (name, _, gradient) in gradients.iter() {
            if !is_finite(gradient)? {
                return Ok(Some(Fault::Gradient(name.to_owned())));
            }
        }
        Ok(None)
    }

    /// The images that are not finite behind the first layer that makes any so.
    fn find_images(&self, data: &Data, shard: &Shard) -> Result<Option<Fault>> {
        let dimensions = self.config.image.dimensions();
        let mut found: Option<(usize, String, Vec<usize>)> = None;
        for (run, noise) in shard.runs(&self.device, self.noise_seed(), dimensions) {
            let data = data.of(&run)?.on(&self.device)?;
            let noise = noise.draw(data.samples().shape(), &self.device)?;
            let parts = self.parts(&data, &noise)?;
            for (order, (part, numbers)) in parts.into_iter().enumerate() {
                let rows = finite_rows(&numbers)?.into_iter().enumerate();
                let bad = rows.filter(|(_, finite)| !finite);
                let places: Vec<_> = bad.map(|(i, _)| run.range().start + i).collect();
                if places.is_empty() {
                    continue;
                }
                match &mut found {
                    Some((first, _, all)) if *first == order => all.extend(places),
                    Some((first, ..)) if *first < order => {}
                    _ => found = Some((order, part, places)),
                }
                break;
            }
        }
        Ok(found.map(|(_, part, places)| Fault::Images { part, places }))
    }

    /// Numbers of each image behind each layer, `[B, n]`, in the order in which data pass.
    fn parts(&self, data: &Data, noise: &Tensor) -> Result<Vec<(String, Tensor)>> {
        let model = &self.state.frozen;
        let rows = |x: &Tensor, of_each: &Tensor| {
            Tensor::cat(&[x.flatten_from(1)?, of_each.unsqueeze(1)?], 1)
        };
        let (x, offset) = model.dequantize_with(data.samples(), noise)?;
        let mut parts = vec![("preprocessing".to_owned(), rows(&x, &offset)?)];
        let levels = model.levels().map_levels(|level| data.given(level))?;
        let outputs = levels.outputs(&x)?;
        for (l, output) in outputs.iter().enumerate() {
            let mut numbers = rows(&output.latent, &(&offset + &output.log_det)?)?;
            if let Some(passed_on) = &output.passed_on {
                numbers = Tensor::cat(&[passed_on.flatten_from(1)?, numbers], 1)?;
            }
            parts.push((format!("levels.{l}"), numbers));
        }
        let log_det = (offset + &outputs[outputs.len() - 1].log_det)?;
        let latents = outputs.into_iter().map(|output| output.latent);
        let y = levels.latent_shapes().join(&latents.collect::<Vec<_>>())?;
        let (z, prior_log_det) = data.given(model.priors())?.forward(&y)?;
        let nats = model.base().add_log_prob(&(log_det + prior_log_det)?, &z)?;
        let bits = quantize::bits_per_dim(&self.config, &nats)?;
        parts.push(("prior".to_owned(), bits.unsqueeze(1)?));
        Ok(parts)
    }
}

fn is_finite(tensor: &Tensor) -> Result<bool> {
    Ok(finite_rows(&tensor.detach().unsqueeze(0)?)?[0])
}
