//! Options of `flow inspect`.

use std::path::PathBuf;

use clap::Args;

use super::values;

/// Options of `flow inspect`.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The `model.safetensors` or `training.safetensors` that `flow train` writes, or the model of a
    /// table that `flow fit` writes
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Print one JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,

    /// Draw a flow of two-dimensional vectors into this .png, .jpg or .gif: its density, and samples
    /// and a grid on their way from the base distribution through its layers
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,

    /// Layers that samples and grid have passed [default: all]
    #[arg(long, value_name = "N", requires = "plot", value_parser = values::whole::<0, usize>)]
    pub(crate) layers: Option<usize>,

    /// Samples to draw
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1000,
        requires = "plot",
        value_parser = values::count_up_to::<10_000>
    )]
    pub(crate) samples: usize,

    /// Seed of the samples
    #[arg(long, value_name = "N", default_value_t = 0, requires = "plot", value_parser = values::whole::<0, u64>)]
    pub(crate) seed: u64,
}
