//! Strange images: scores by a model, and measures of how well the scores tell them from normal
//! ones.
//!
//! [`observe_images`] gives likelihoods and latents, [`code_lengths`] lengths of lossless codes. A
//! [`Score`] makes one number of them, larger for stranger images. [`detection`] measures how well
//! a score separates two sets, [`bootstrap`] adds confidence intervals, and [`quantile`] gives a
//! threshold. [`ImageBits`] says which pixels of an image cost how many bits.
//!
//! The likelihood alone fails: simple images unlike the training data are often more likely
//! (Nalisnick et al. 2019, arXiv:1810.09136). The other scores correct for that.
//!
//! An image without a finite score counts as the strangest: comparisons use [`strangeness`].

mod bootstrap;
mod code_length;
mod detection;
mod observation;
mod pixels;
mod score;

pub use bootstrap::{Interval, bootstrap};
pub use code_length::{Compressor, code_lengths};
pub use detection::{Detection, detection, quantile};
pub use observation::{Noise, Observation, observe, observe_images};
pub use pixels::{ImageBits, likeliest_class};
pub use score::{Evidence, Score, batch_typicality, strangeness};
