//! Glow: a normalizing flow for images, its training and its checkpoints.
//!
//! Kingma & Dhariwal 2018, "Glow: Generative Flow with Invertible 1×1 Convolutions"
//! (arXiv:1807.03039), on the bijections of [`flow_core`].
//!
//! Reading order: [`GlowConfig`] says what a model is; a [`FlowStep`] is ActNorm, 1×1 convolution and
//! coupling; a [`Level`] is a squeeze, many steps and a split; [`Glow`] is all levels and a prior;
//! [`Glow::dequantize`] turns pixels into what a model sees, and [`quantize`] back;
//! [`Glow::encode_images`] gives the [`Latents`] of images; [`Trainer`] fits a model and [`Checkpoint`]
//! is one on disk; [`verify`] measures how far its numbers can be trusted.
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use flow_core::params::ParamStore;
//! use flow_glow::{Glow, GlowConfig, ImageShape};
//!
//! let config = GlowConfig { steps: 2, ..GlowConfig::small(ImageShape::new(1, 8, 8)) };
//! let params = ParamStore::new(0);
//! let glow = Glow::new(&config, params.builder(DType::F32, &Device::Cpu))?;
//! let images = glow.sample_images(4, None, 0.7, 0)?;
//! assert_eq!(images.dims(), [4, 1, 8, 8]);
//! assert_eq!(glow.bits_per_dim(&images, None, 0)?.dims(), [4]);
//! # flow_glow::Result::Ok(())
//! ```

mod checkpoint;
mod config;
mod conventions;
mod decode;
mod dequantizer;
mod equalization;
mod error;
pub mod finite;
mod latents;
mod level;
mod model;
mod network;
mod peer;
mod prior;
pub mod quantize;
mod runs;
mod step;
mod tensor_file;
mod train;
pub mod verify;
mod whole;

pub use checkpoint::{Checkpoint, Header, TrainingRecord};
pub use config::{Coupling, Dequantization, GlowConfig, ImageShape, Preprocessing, ScaleMap};
pub use conventions::{Conv1x1Form, Conventions, Half, LevelEnd, NetworkInput, Padding, PriorForm};
pub use error::{Error, Result};
pub use latents::Latents;
pub use level::Level;
pub use model::Glow;
pub use peer::{Fit, Peer, Setting};
pub use prior::SplitPrior;
pub use step::{FlowStep, Place};
pub use tensor_file::read_tensors;
pub use train::{
    AllReduce, BatchGradient, Fault, Inversion, Memory, Origin, Progress, Shard, StepReport,
    TrainSettings, Trainer, UnsoundInversion, ranks,
};
pub use whole::Whole;
