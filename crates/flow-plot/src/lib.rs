//! Charts that look alike, with smooth lines and a font of their own.
//!
//! [`picture`] gives a [`Canvas`], a [`Chart`] is set up on it, and the [`Plot`] that this gives
//! takes the data. All lengths are in pixels of the finished picture.
//!
//! ```
//! use flow_plot::{Axis, Chart, Layout};
//!
//! let (x, y) = (Axis::new(0.0..2.0, "step", 3), Axis::new(0.0..4.0, "bits", 5));
//! let chart = Chart::new("a parabola", Layout::PAGE, x, y);
//! let picture = flow_plot::picture((600, 400), |canvas| {
//!     let mut plot = canvas.chart(&chart)?;
//!     plot.line("x²", &[(0.0, 0.0), (1.0, 1.0), (2.0, 4.0)], [200, 80, 40])?;
//!     plot.legend()
//! })?;
//! assert_eq!(picture.dimensions(), (600, 400));
//! # Ok::<_, flow_plot::Error>(())
//! ```

mod canvas;
mod chart;
mod error;
mod plot;

pub use canvas::{Canvas, Color, INK, picture, png};
pub use chart::{Axis, Chart, Layout};
pub use error::{Error, Result};
pub use plot::Plot;
