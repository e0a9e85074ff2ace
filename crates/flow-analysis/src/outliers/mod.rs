//! Strange images: scores by a model, and measures of how well the scores tell them from normal
//! ones.
//!
//! [`observe_images`] asks a model about images, and [`code_lengths`] a compressor. A [`Score`]
//! makes one number of what they say, larger for stranger images. [`detection`] says how well a
//! score tells two sets of images apart, [`bootstrap`] how sure that is, and [`quantile`] where to
//! draw a line.
//!
//! The likelihood alone does not do: simple images that look nothing like the training data are
//! often the more likely ones (Nalisnick et al. 2019, arXiv:1810.09136). The other scores correct
//! for that.
//!
//! Nothing is dropped: an image without a finite score is as strange as can be. Where scores are
//! compared, [`strangeness`] stands for them.

mod bootstrap;
mod code_length;
mod detection;
mod observation;
mod score;

pub use bootstrap::{Interval, bootstrap};
pub use code_length::{Compressor, code_lengths};
pub use detection::{Detection, detection, quantile};
pub use observation::{Noise, Observation, observe, observe_images};
pub use score::{Evidence, Score, batch_typicality, strangeness};
