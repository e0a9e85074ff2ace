//! Options of `flow measure`.

use std::path::PathBuf;

use clap::Args;
use flow_data::{Location, Split};

use super::{DataDirArgs, values};

/// Options of `flow measure`.
#[derive(Debug, Args)]
#[command(after_help = "\
Each image gets a line, in CSV below a header:
  index       its place, from 0
  thickness   of strokes, in pixels
  slant       columns by which the shape leans to the right for each row up
  width       of the shape, in pixels
  brightness  from 0 to 1
An image that is black all over has empty fields, and all but brightness are empty where most images
have no black ground.

Examples
  flow measure --split train --out train.csv      what `flow train --condition` takes
  flow sample --checkpoint F --condition wanted.csv --out-tensor s.safetensors
  flow measure s.safetensors                      whether samples have what was wanted")]
pub(crate) struct MeasureArgs {
    /// Pictures, folders of them, and files of images in u8: a .safetensors with x [N, C, H, W], or a
    /// .npy or .npz as `flow encode` takes them [default: the images of a data set]
    #[arg(value_name = "IMAGES", conflicts_with_all = ["dataset", "split", "data_dir"])]
    pub(crate) images: Vec<PathBuf>,

    /// The data set [default: mnist; its bundled images if it was not fetched and no --data-dir is
    /// given]
    #[arg(long, value_name = "DATASET", value_parser = values::dataset)]
    pub(crate) dataset: Option<Location>,

    /// The part of the data set
    #[arg(long, default_value = "test", value_parser = values::split())]
    pub(crate) split: Split,

    /// The .csv file to write [default: stdout]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) data_dir: DataDirArgs,
}
