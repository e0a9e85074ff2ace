//! Options of `flow eval`.

use std::path::PathBuf;

use clap::Args;
use flow_data::{Location, Split};

use super::{CheckpointArgs, DataDirArgs, DeviceArgs, DistributedArgs, values};

/// Options of `flow eval`.
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
The result is the mean over images with its standard error. It is an upper bound, since the noise
fills the gaps between pixel values. The same seed, model and data give the same number. With
--importance-samples K the bound is tighter and takes K times as long: it is that of the mean of K
likelihoods of each image, under the noise of the seeds N, N + 1, …

A model with classes measures each image under its own class and, without being told the class, by
the mean of its likelihoods in all classes. The accuracy is the share of images whose own class is
the most likely one.

Images without a finite likelihood stay in the mean. They are counted on stderr, and the exit status
is 1. In JSON, numbers that are not finite are null.

Without --dataset and --data-dir, a model of MNIST is measured on the bundled subset unless MNIST was
fetched (`flow fetch mnist`)."
)]
pub(crate) struct EvalArgs {
    #[command(flatten)]
    pub(crate) model: CheckpointArgs,

    /// The data set [default: the one the model was trained on]
    #[arg(long, value_name = "DATASET", value_parser = values::dataset)]
    pub(crate) dataset: Option<Location>,

    /// The part of the data set
    #[arg(long, default_value = "test", value_parser = values::split())]
    pub(crate) split: Split,

    /// Measure N images only, evenly spread over the split [default: all]
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub(crate) limit: Option<usize>,

    /// The numbers of the images, for a model trained with --condition: a CSV file with a first
    /// line of the columns' names and a row for each image of the part, in its order or by a column
    /// `index`
    #[arg(long, value_name = "FILE")]
    pub(crate) condition: Option<PathBuf>,

    /// Seed of the dequantization noise
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = values::whole::<0, u64>)]
    pub(crate) seed: u64,

    /// Draws of dequantization noise for each image
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = values::count_up_to::<10_000>)]
    pub(crate) importance_samples: usize,

    /// Print one JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) data_dir: DataDirArgs,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,

    #[command(flatten)]
    pub(crate) distributed: DistributedArgs,
}
