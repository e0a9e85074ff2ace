//! Pictures: encoded files of one image each, as images of one shape.
//!
//! Reading order: [`decode`](fn@decode) (bytes to an upright picture), then [`Fitting`] (any
//! picture to the pixels of one shape).

mod decode;
mod file;
mod fitting;
mod scale;
mod settings;

pub use decode::{EXTENSIONS, Facts, decode, facts, has_extension};
pub(crate) use file::facts as facts_of_file;
pub use file::read;
pub use fitting::{Color, Fit, Fitting};
pub use settings::{parse_background, parse_size};
