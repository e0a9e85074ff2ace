//! Analysis of images and of models with a trained [`Glow`](flow_glow::Glow).
//!
//! Everything takes tensors and returns numbers or tensors: images are u8 `[N, C, H, W]`, labels are
//! u32 `[N]`. Nothing is read, drawn or printed.

mod error;
pub mod samples;

pub use error::{Error, Result};
