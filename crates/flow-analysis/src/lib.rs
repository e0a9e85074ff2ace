//! Analysis of images and of models with a trained [`Glow`](flow_glow::Glow).
//!
//! Everything takes tensors and returns numbers or tensors: images are u8 `[N, C, H, W]`, labels
//! are u32 `[N]`. Nothing is read, drawn or printed.
//!
//! Reading order: [`likelihood`] measures a model on many images. [`outliers`] tells strange images
//! from normal ones. [`latent_space`] has paths between images and directions of an [`attribute`].
//! [`exact`] encodes images so that they decode exactly. [`clusters`] finds groups of images.
//! [`samples`] compares images of a model with real ones. [`mixtures`] are densities of vectors to
//! compare a flow with.
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use flow_analysis::outliers::{self, Compressor, Noise};
//! use flow_core::params::ParamStore;
//! use flow_glow::{Glow, GlowConfig, ImageShape, ranks::Alone};
//!
//! let config = GlowConfig { steps: 2, ..GlowConfig::small(ImageShape::new(1, 8, 8)) };
//! let model = Glow::new(&config, ParamStore::new(0).builder(DType::F32, &Device::Cpu))?;
//! let images = Tensor::zeros((3, 1, 8, 8), DType::U8, &Device::Cpu)?;
//!
//! let found = outliers::observe_images(&model, &images, Noise::Same(0), &Alone, |_| {})?;
//! let codes = outliers::code_lengths(Compressor::Png, &config, &images)?;
//! // Subtracts the code length, which corrects for simplicity.
//! let scores = found.iter().zip(&codes).map(|(one, code)| one.bits_per_dim - code);
//! assert_eq!(scores.count(), 3);
//! # flow_analysis::Result::Ok(())
//! ```

pub mod attribute;
pub mod clusters;
mod error;
pub mod exact;
pub mod latent_space;
pub mod likelihood;
pub mod mixtures;
pub mod outliers;
pub mod samples;

pub use error::{Error, Result};
