//! Options of `flow encode`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use flow_data::{Location, Split};

use super::{CheckpointArgs, DataDirArgs, DeviceArgs, FittingArgs, values};

/// Options of `flow encode`.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("images").args(["input", "dataset"]),
    after_help = "\
The file holds z.0, z.1, …, a tensor [N, C, H, W] for each level, independent and standard normal
under the model, and log_prob [N] in nats. log_prob is the lower bound of each image, which `flow
eval` reports in bits per dimension; with --raw it is ln p(x) of the numbers themselves. A model with
classes adds labels [N]. Numbers that are not finite are written as they are. Their images are
counted on stderr, and the exit status is 1.

`flow decode` gives the pixels back. Images that need double precision for that get latents in f64. A
warning names those that do not come back in either precision. With --raw, numbers in f64 are encoded
in f64."
)]
pub(crate) struct EncodeArgs {
    #[command(flatten)]
    pub(crate) model: CheckpointArgs,

    /// The images: a picture, read as `flow density --help` says and cut row by row into images of
    /// the model's size; with --fit, or in a folder, each picture is one image. Or a file of the
    /// model's images in u8, and of their labels if it has classes: a .safetensors with x
    /// [N, C, H, W] and labels, or a .npy or .npz of [N, H, W], [N, H, W, C] or [N, C, H, W]
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,

    /// The data set whose images to take [default: the one the model was trained on, if there is no
    /// --input]
    #[arg(long, value_name = "DATASET", value_parser = values::dataset)]
    pub(crate) dataset: Option<Location>,

    /// The part of the data set
    #[arg(long, default_value = "test", value_parser = values::split(), conflicts_with = "input")]
    pub(crate) split: Split,

    /// Take N images only, evenly spread over the split [default: all]
    #[arg(long, value_name = "N", value_parser = values::count, conflicts_with = "input")]
    pub(crate) limit: Option<usize>,

    /// Take x [N, C, H, W] of a .safetensors or .npz, or the array of a .npy, as the numbers that the
    /// model itself sees, without added noise or scaling
    #[arg(long, requires = "input")]
    pub(crate) raw: bool,

    /// The class of all images, by name or number, counted from 0; for models with classes
    /// [default: their labels]
    #[arg(long, value_name = "CLASS")]
    pub(crate) class: Option<String>,

    /// Seed of the dequantization noise
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,

    /// The .safetensors or .npz file to write; `-` is stdout, safetensors
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,

    #[command(flatten)]
    pub(crate) data_dir: DataDirArgs,

    #[command(flatten)]
    pub(crate) fitting: FittingArgs,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}
