//! Glow: a normalizing flow for images, its training and its checkpoints.
//!
//! Kingma & Dhariwal 2018, "Glow: Generative Flow with Invertible 1×1 Convolutions"
//! (arXiv:1807.03039), built from the bijections of [`flow_core`].
//!
//! Reading order: [`GlowConfig`] describes a model without its weights. [`Part::step`] is ActNorm,
//! 1×1 convolution and coupling; [`Part::level`] is a squeeze, many steps and a split. [`Glow`] is
//! the [flow](flow_core::Flow) of all levels and the priors, and [`Glow::given`] binds a class or
//! another [`Condition`]. [`Glow::dequantize`] turns pixels into the model's input, and
//! [`quantize`] back. [`Glow::encode_images`] gives the [`Latents`] of images. [`Trainer`] fits a
//! model, [`Checkpoint`] stores one, and [`verify`] measures its numerical errors.
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use flow_core::params::ParamStore;
//! use flow_glow::{Glow, GlowConfig, ImageShape};
//!
//! let config = GlowConfig { steps: 2, ..GlowConfig::small(ImageShape::new(1, 8, 8)) };
//! let params = ParamStore::new(0);
//! let glow = Glow::new(&config, params.builder(DType::F32, &Device::Cpu))?;
//! let images = glow.at_temperature(0.7)?.sample_images(4, 0)?;
//! assert_eq!(images.dims(), [4, 1, 8, 8]);
//! assert_eq!(glow.bits_per_dim(&images, 0)?.dims(), [4]);
//! # flow_glow::Result::Ok(())
//! ```

mod checkpoint;
mod condition;
mod config;
mod conventions;
mod dequantizer;
mod equalization;
mod error;
pub mod finite;
mod latents;
mod model;
mod network;
mod part;
mod peer;
mod pixel_bits;
mod prior;
pub mod quantize;
mod runs;
mod train;
pub mod verify;

pub use checkpoint::{Checkpoint, Header, TrainingRecord, read_tensors};
pub use condition::{Column, Condition};
pub use config::{Coupling, Dequantization, GlowConfig, ImageShape, Preprocessing, ScaleMap};
pub use conventions::{Conv1x1Form, Conventions, Half, LevelEnd, NetworkInput, Padding, PriorForm};
pub use error::{Error, Result};
pub use latents::Latents;
pub use model::{Glow, Stage};
pub use network::ConvNetwork;
pub use part::{Mixing, Part, Place};
pub use peer::{Fit, Peer, Setting};
pub use prior::SplitPrior;
pub use train::{
    AllReduce, BatchGradient, Fault, Origin, Progress, Shard, StepReport, TrainSettings, Trainer,
    UnsoundInversion, ranks,
};
