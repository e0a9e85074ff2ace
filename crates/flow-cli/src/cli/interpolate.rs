//! Options of `flow interpolate`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use flow_data::{Location, Split};

use super::{CheckpointArgs, DataDirArgs, DeviceArgs, FittingArgs, values};

/// Options of `flow interpolate`.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("ends").required(true).args(["from", "images"]),
    after_help = "\
Each row begins with one image and ends with the other, both encoded without noise and decoded like
the images between. If single precision does not give both back to the pixel, double precision is
used. A warning names images that do not come back in either.

Examples
  flow interpolate --checkpoint F --from 3,15 --to 8,2        two rows, from the data of the model
  flow interpolate --checkpoint F --images a.png b.png --spherical"
)]
pub(crate) struct InterpolateArgs {
    #[command(flatten)]
    pub(crate) model: CheckpointArgs,

    /// The first image of each row, by its place in the data set, counted from 0
    #[arg(long, value_name = "I,…", value_delimiter = ',', requires = "to", value_parser = values::whole::<0, usize>)]
    pub(crate) from: Vec<usize>,

    /// The last image of each row
    #[arg(long, value_name = "J,…", value_delimiter = ',', requires = "from", value_parser = values::whole::<0, usize>)]
    pub(crate) to: Vec<usize>,

    /// The first and the last image of each row: pictures of any format, fitted as the training data
    /// were, read as `flow density --help` says
    #[arg(long, value_name = "FILE", num_args = 2.., conflicts_with_all = ["from", "dataset", "data_dir"])]
    pub(crate) images: Vec<PathBuf>,

    /// The data set [default: the one the model was trained on]
    #[arg(long, value_name = "DATASET", value_parser = values::dataset)]
    pub(crate) dataset: Option<Location>,

    /// The part of the data set
    #[arg(long, default_value = "test", value_parser = values::split())]
    pub(crate) split: Split,

    /// Images in a row, with both ends
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = values::steps)]
    pub(crate) steps: usize,

    /// The images of a row by their times instead: 0 is the first image, 1 the last, as in 0,0.25,1
    #[arg(long, value_name = "T,…", value_delimiter = ',', conflicts_with = "steps", value_parser = values::unit)]
    pub(crate) at: Vec<f64>,

    /// Follow the arc around 0, near which images lie, instead of the straight line
    #[arg(long)]
    pub(crate) spherical: bool,

    /// The class as which all images are encoded, by name or number, counted from 0; for models
    /// trained with --classes [default: 0]
    #[arg(long, value_name = "CLASS")]
    pub(crate) class: Option<String>,

    /// The picture to write: a .png, .jpg or .gif; `-` is stdout, a PNG
    #[arg(long, value_name = "FILE", default_value = "interpolation.png")]
    pub(crate) out: PathBuf,

    #[command(flatten)]
    pub(crate) data_dir: DataDirArgs,

    #[command(flatten)]
    pub(crate) fitting: FittingArgs,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

impl InterpolateArgs {
    /// The times of the images of a row.
    pub(crate) fn times(&self) -> Vec<f64> {
        if !self.at.is_empty() {
            return self.at.clone();
        }
        let gaps = (self.steps - 1) as f64;
        (0..self.steps).map(|step| step as f64 / gaps).collect()
    }
}
