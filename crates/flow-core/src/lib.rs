//! Normalizing flows on [candle](candle_core): invertible tensor maps with tractable Jacobian
//! determinants.
//!
//! Notation, everywhere in this crate: images are `[B, C, H, W]`, vectors `[B, D]`; `forward` maps
//! data towards the latent space and `inverse` maps back; log-determinants are in nats, one number
//! per sample, `[B]`.
//!
//! | to | see |
//! |---|---|
//! | fit, score, sample, save and load a flow | [`recipes`], [`Model`], [`train::FitSettings`] |
//! | use one under a context, or borrow its parts | [`Flow`], [`Flow::given`] |
//! | compose layers, and keep them in a file | [`Architecture`], [`Layer`], [`Base`] |
//! | transform numbers by a network's output | [`Coupling`], [`Autoregressive`], [`Transform`] |
//! | map vectors by themselves | [`LuLinear`], [`Householder`], [`ActNorm`], [`Planar`], [`Radial`] |
//! | bring columns to the real line | [`Columnwise`], [`UniformDequantization`], [`Whiten`] |
//! | model angles | [`IntervalSpline`], [`CircularShift`], [`PeriodicFeatures`], [`PerChannel`] |
//! | choose a base distribution | [`distribution`] |
//! | infer without data | [`train::fit_reverse_kl`], [`importance`] |
//! | judge posteriors | [`calibration`] |
//! | write a bijection, and prove it | [`Bijection`], [`check`] |
//!
//! [`Bijection`] is the central trait: a [`Flow`] is a bijection and a base distribution, and a
//! [`Model`] owns a flow and its parameters. [`Chain`] and [`Inverse`] compose. [`params`] makes and
//! names parameters, [`Gradients`] holds their gradients, [`train`] updates them, and [`ops`] holds
//! the fused operations behind the speed.
//!
//! Fit a density to points:
//!
//! ```
//! use candle_core::{DType, Device};
//! use flow_core::train::FitSettings;
//! use flow_core::{random, recipes};
//! use std::ops::ControlFlow;
//!
//! let points = random::normal(0, (500, 2), DType::F32, &Device::Cpu)?;
//! let recipe = recipes::realnvp(2).layers(2).width(16).standardize(&points)?;
//! let model = recipe.build(0, DType::F32, &Device::Cpu)?;
//! let settings = FitSettings { max_steps: 20, ..FitSettings::default() };
//! model.fit(&points, &settings, |_| ControlFlow::Continue(()))?;
//! assert_eq!(model.log_prob(&model.sample(5, 1)?)?.dims(), [5]);
//! # candle_core::Result::Ok(())
//! ```
//!
//! Check a bijection:
//!
//! ```
//! use candle_core::{DType, Device};
//! use flow_core::{Bijection, InvertibleConv1x1, params::ParamStore, random};
//!
//! let params = ParamStore::new(0);
//! let conv = InvertibleConv1x1::new(4, params.builder(DType::F64, &Device::Cpu))?;
//! let x = random::normal(1, (2, 4, 3, 3), DType::F64, &Device::Cpu)?;
//! let (y, log_det) = conv.forward(&x)?;
//! assert_eq!(log_det.dims(), [2]);
//! flow_core::check::close(&conv.inverse(&y)?, &x, 1e-12)?;
//! # candle_core::Result::Ok(())
//! ```

#![deny(missing_docs)]

mod architecture;
mod bijection;
pub mod calibration;
pub mod check;
mod dequantization;
pub mod device;
mod distributions;
#[cfg(feature = "file")]
pub mod file;
mod flow;
mod gradients;
pub mod importance;
mod inspect;
pub mod linalg;
mod model;
mod networks;
pub mod ops;
pub mod params;
pub mod random;
pub mod recipes;
pub mod runs;
mod shape;
pub mod train;
pub mod transfer;
mod transforms;

/// Base distributions: the source of a flow's samples, and the density of its latents.
pub mod distribution {
    pub use crate::distributions::*;
}

/// Invertible maps, one per file.
mod bijections {
    mod actnorm;
    pub use actnorm::ActNorm;
    mod autoregressive;
    pub use autoregressive::Autoregressive;
    mod chain;
    pub use chain::Chain;
    mod columnwise;
    pub use columnwise::{ColumnMap, Columnwise};
    mod conditioned;
    pub use conditioned::Conditioned;
    mod conv1x1;
    pub use conv1x1::{InvertibleConv1x1, MatrixForm};
    mod coupling;
    pub use coupling::{Coupling, Passing};
    mod elementwise;
    pub use elementwise::Elementwise;
    mod elementwise_affine;
    pub use elementwise_affine::ElementwiseAffine;
    mod householder;
    pub use householder::Householder;
    mod inverse;
    pub use inverse::Inverse;
    mod lu_linear;
    pub use lu_linear::LuLinear;
    mod mixed;
    mod multi_scale;
    pub use multi_scale::{LatentShapes, LevelOutput, MultiScale};
    mod permutation;
    pub use permutation::Permutation;
    mod planar;
    pub use planar::Planar;
    mod pointwise;
    pub use pointwise::Pointwise;
    mod radial;
    pub use radial::Radial;
    mod reshape;
    pub use reshape::Reshape;
    mod soft_clip;
    pub use soft_clip::SoftClip;
    mod squeeze;
    pub use squeeze::Squeeze;
    mod whiten;
    pub use whiten::{Whiten, standard_normal_log_prob};

    pub(crate) mod groups;
}

pub use architecture::{Architecture, Base, ContextMap, Layer, Mask, TransformKind};
pub use bijection::{Bijection, Limit};
pub use bijections::*;
pub use candle_core::Result;
pub use dequantization::UniformDequantization;
pub use flow::{Flow, WithGraph};
pub use gradients::Gradients;
pub use inspect::{constant_columns, finite_rows, first_non_finite};
pub use model::Model;
pub use networks::{Conditioner, Incremental, Mlp, MlpSize, PeriodicFeatures};
pub use ops::activation::Activation;
pub use ops::affine::{Order, ScaleMap};
pub use ops::spline::{Ends, IntervalSpline, Spline};
pub use transforms::{
    Additive, Affine, CircularShift, Layout, MonotonicNetwork, PerChannel, Transform,
};
