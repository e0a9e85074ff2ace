//! Options of `flow verify`.

use std::path::PathBuf;

use clap::Args;
use flow_data::Location;

use super::{DataDirArgs, values};

/// Options of `flow verify`.
#[derive(Debug, Args)]
#[command(after_help = "\
Each line is a verdict: pass or FAIL, the measured value, and the largest value that passes.
Measured are the model's own weights on test images, on the CPU, in f32 as they are and in f64:
  parameters            number of parameters that are NaN or infinite
  log-determinant       the whole model's against that of the automatic Jacobian, in f64
  integral              of the density over a plane of latents, with volumes from finite
                        differences of decoding: 1 if the density is that of the samples
  layers, model invert  inverse(forward(x)) against x: every step, split, level, and end to end
  condition             largest over smallest singular value of each 1×1 convolution
  |ln scale|            of every ActNorm, and of every coupling and prior on the images
  f32 against f64       the log-likelihood of each image
A table with a line a layer follows. The exit status is 1 if a check fails. It takes about a
minute for the small preset.")]
pub(crate) struct VerifyArgs {
    /// The trained model: the `model.safetensors` that `flow train` writes
    #[arg(value_name = "CHECKPOINT")]
    pub(crate) checkpoint: PathBuf,

    /// The data set [default: the one the model was trained on]
    #[arg(long, value_name = "DATASET", value_parser = values::dataset)]
    pub(crate) dataset: Option<Location>,

    /// Measure on N test images, evenly spread over the split
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = values::count_up_to::<10_000>)]
    pub(crate) limit: usize,

    /// Compare the log-determinant on whole images, even if it takes hours [default: on crops if a
    /// whole image would take more than about a minute]
    #[arg(long)]
    pub(crate) full: bool,

    /// Print one JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) data_dir: DataDirArgs,
}
