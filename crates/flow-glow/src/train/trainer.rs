//! The trainer: one model, its average, its optimiser, and what it takes to go on after a stop.

use super::optimizer::{Moments, Update};
use super::settings::{Progress, TrainSettings};
use crate::checkpoint::{
    self, AVERAGE, FIRST_MOMENT, Header, SECOND_MOMENT, TrainingRecord, WEIGHTS,
};
use crate::config::GlowConfig;
use crate::model::Glow;
use crate::{Error, Result, quantize};
use candle_core::{DType, Device, Tensor, Var};
use flow_core::params::ParamStore;
use flow_core::{Gradients, random};
use std::collections::BTreeMap;
use std::path::Path;

/// Fits a [`Glow`] to images by maximum likelihood. The caller owns the loop and the data.
pub struct Trainer {
    /// Where training stands: [`step`](Self::step) counts steps, the caller's loop the rest.
    pub progress: Progress,
    config: GlowConfig,
    settings: TrainSettings,
    dataset: String,
    device: Device,
    params: ParamStore,
    live: Glow,
    average: ParamStore,
    model: Glow,
    moments: Moments,
}

/// What one step did.
#[derive(Clone, Copy, Debug)]
pub struct StepReport {
    /// Mean bits per dimension of the batch, before the step.
    pub bits_per_dim: f64,
    /// Norm of the gradient of it, before clipping.
    pub grad_norm: f64,
    /// The learning rate of the step.
    pub learning_rate: f64,
}

impl Trainer {
    /// A fresh model, drawn from the settings' seed. `dataset` names the data in the checkpoint.
    pub fn new(
        config: &GlowConfig,
        settings: TrainSettings,
        dataset: &str,
        device: &Device,
    ) -> Result<Self> {
        settings.validate()?;
        let params = ParamStore::new(settings.seed);
        let live = Glow::new(config, params.builder(DType::F32, device))?;
        let (average, model) = average_of(config, copies(&params), device)?;
        Ok(Self {
            progress: Progress::default(),
            config: config.clone(),
            settings,
            dataset: dataset.to_owned(),
            device: device.clone(),
            params,
            live,
            average,
            model,
            moments: Moments::default(),
        })
    }

    /// Goes on from a `training.safetensors`.
    pub fn resume(path: &Path, device: &Device) -> Result<Self> {
        let (header, tensors) = checkpoint::read(path, device)?;
        let refuse = |reason: String| Error::Checkpoint {
            path: path.to_owned(),
            reason,
        };
        let mut parts = checkpoint::split_parts(&tensors);
        if !parts.contains_key(WEIGHTS) {
            return Err(refuse(
                "it holds a model without the state of its training; resume from the \
                 `training.safetensors` beside it"
                    .into(),
            ));
        }
        let mut part = |name: &str| parts.remove(name).unwrap_or_default();
        let refuse_error = |error: Error| refuse(error.to_string());
        header.training.settings.validate().map_err(refuse_error)?;
        header.training.progress.validate().map_err(refuse_error)?;

        let params = ParamStore::from_tensors(part(WEIGHTS))
            .map_err(Error::from)
            .map_err(refuse_error)?;
        let live =
            Glow::new(&header.model, params.builder(DType::F32, device)).map_err(refuse_error)?;
        if let Some(name) = params.unused().first() {
            return Err(refuse(format!(
                "tensor `{name}` does not belong to the model"
            )));
        }
        let (average, model) =
            average_of(&header.model, part(AVERAGE), device).map_err(refuse_error)?;
        let mut moments = Moments::default();
        let weights: BTreeMap<_, _> = params.vars().into_iter().collect();
        let mut second_moments = part(SECOND_MOMENT);
        for (name, first) in part(FIRST_MOMENT) {
            let second = second_moments.remove(&name);
            let (Some(weight), Some(second)) = (weights.get(&name), second) else {
                return Err(refuse(format!("the moments of `{name}` are not complete")));
            };
            let fits = |moment: &Tensor| {
                moment.shape() == weight.shape() && moment.dtype() == weight.dtype()
            };
            if !fits(&first) || !fits(&second) {
                return Err(refuse(format!(
                    "the moments of `{name}` have not its shape and type"
                )));
            }
            moments.insert(
                name,
                [Var::from_tensor(&first)?, Var::from_tensor(&second)?],
            );
        }
        Ok(Self {
            progress: header.training.progress,
            config: header.model,
            settings: header.training.settings,
            dataset: header.dataset,
            device: device.clone(),
            params,
            live,
            average,
            model,
            moments,
        })
    }

    /// Data-dependent initialisation from u8 images `[B, C, H, W]`: once, on a fresh trainer.
    pub fn initialize(&self, images: &Tensor) -> Result<()> {
        let seed = random::derive(self.settings.seed, "initialize");
        let images = images.to_device(&self.device)?;
        let (x, _) = quantize::dequantize(&self.config, &images, DType::F32, seed)?;
        self.live.initialize(&x)?;
        let averages = self.average.vars();
        for ((_, var), (_, average)) in self.params.vars().into_iter().zip(averages) {
            average.set(&var)?;
        }
        Ok(())
    }

    /// One step on u8 images `[B, C, H, W]` and their labels, `[B]` in u32. `done` is the share of the
    /// planned training that lies behind, in 0..=1; it drives the learning rate.
    ///
    /// # Errors
    /// [`Error::Diverged`] if the gradient is not finite; nothing has changed then.
    pub fn step(
        &mut self,
        images: &Tensor,
        labels: Option<&Tensor>,
        done: f64,
    ) -> Result<StepReport> {
        let step = self.progress.step;
        let seed = random::derive(self.settings.seed, &format!("noise.{step}"));
        let loss = self.live.bits_per_dim(images, labels, seed)?.mean_all()?;
        let grads = Gradients::of(&loss, &self.params)?;
        let grad_norm = grads.global_norm()?;
        let bits_per_dim = f64::from(loss.to_scalar::<f32>()?);
        if !grad_norm.is_finite() || !bits_per_dim.is_finite() {
            return Err(Error::Diverged { step });
        }
        let learning_rate = self.settings.learning_rate_at(step, done);
        let update = Update {
            optimizer: self.settings.optimizer,
            step,
            learning_rate,
            gradient_scale: (self.settings.clip_norm / grad_norm).min(1.0),
            average_decay: self.settings.average_decay_at(step),
        };
        self.moments.update(update, &grads, &self.average)?;
        self.progress.step += 1;
        Ok(StepReport {
            bits_per_dim,
            grad_norm,
            learning_rate,
        })
    }

    /// The model with the averaged weights, which evaluation and samples use. It follows training.
    pub fn model(&self) -> &Glow {
        &self.model
    }

    /// What the model is.
    pub fn config(&self) -> &GlowConfig {
        &self.config
    }

    /// How it is trained.
    pub fn settings(&self) -> &TrainSettings {
        &self.settings
    }

    /// What it is trained on.
    pub fn dataset(&self) -> &str {
        &self.dataset
    }

    /// How many numbers the parameters hold.
    pub fn parameters(&self) -> usize {
        self.params.element_count()
    }

    /// Writes the averaged weights: what the other commands load.
    pub fn save_model(&self, path: &Path) -> Result<()> {
        checkpoint::write(path, &self.header(), named("", &self.average))
    }

    /// Writes everything that [`resume`](Self::resume) needs.
    pub fn save_training(&self, path: &Path) -> Result<()> {
        let mut tensors = named(&format!("{WEIGHTS}/"), &self.params);
        tensors.extend(named(&format!("{AVERAGE}/"), &self.average));
        for (name, moments) in self.moments.iter() {
            for (part, moment) in [FIRST_MOMENT, SECOND_MOMENT].into_iter().zip(moments) {
                tensors.push((format!("{part}/{name}"), moment.as_tensor().clone()));
            }
        }
        checkpoint::write(path, &self.header(), tensors)
    }

    fn header(&self) -> Header {
        let training = TrainingRecord {
            settings: self.settings.clone(),
            progress: self.progress,
        };
        Header::new(self.config.clone(), self.dataset.clone(), training)
    }
}

fn named(prefix: &str, store: &ParamStore) -> Vec<(String, Tensor)> {
    let tensors = store.vars().into_iter();
    tensors
        .map(|(name, var)| (format!("{prefix}{name}"), var.into_inner()))
        .collect()
}

fn copies(params: &ParamStore) -> BTreeMap<String, Tensor> {
    named("", params).into_iter().collect()
}

/// A store for the average, starting at `weights`, and the model that sees it.
fn average_of(
    config: &GlowConfig,
    weights: BTreeMap<String, Tensor>,
    device: &Device,
) -> Result<(ParamStore, Glow)> {
    let average = ParamStore::from_tensors(weights)?;
    let view = average.frozen();
    let model = Glow::new(config, view.builder(DType::F32, device))?;
    if let Some(name) = view.unused().first() {
        return Err(Error::Config(format!(
            "tensor `{name}` does not belong to the model"
        )));
    }
    Ok((average, model))
}
