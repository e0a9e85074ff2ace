//! Options of `flow explore`.

use std::path::PathBuf;

use clap::Args;
use flow_data::{
    Location,
    picture::{Fit, parse_background},
};

use super::{DataDirArgs, DeviceArgs, values};

/// Options of `flow explore`.
#[derive(Debug, Args)]
#[command(after_help = "\
The page draws images, leads from one to another, changes attributes, redraws levels of latents, and
measures the likelihood of pictures that are dropped on it or drawn with the mouse. Each view has a
link that restores it, and shows the command that makes the same picture.

Examples
  flow explore                                a model of MNIST that ships
  flow explore runs/mnist --open              a training, also while it goes on
  flow explore model.safetensors --dataset photos --labels faces.csv
  flow explore moons.safetensors              a flow of two-dimensional vectors

Only this machine can reach the page, unless --host names another address: then everyone who reaches
that address can use the model. Ctrl-C ends the program.")]
pub(crate) struct ExploreArgs {
    /// The model: a file that `flow train`, a conversion or flow-core wrote, or the folder of a
    /// training, also of one that goes on [default: mnist-classes, which ships with this program]
    #[arg(value_name = "CHECKPOINT")]
    pub(crate) checkpoint: Option<PathBuf>,

    /// The data set [default: the one the model was trained on, if it is here]
    #[arg(long, value_name = "DATASET", value_parser = values::dataset)]
    pub(crate) dataset: Option<Location>,

    /// A CSV file with a header, whose columns are attributes to change, as `flow edit --help` says
    #[arg(long, value_name = "FILE")]
    pub(crate) labels: Option<PathBuf>,

    /// The port; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 0, value_parser = values::whole::<0, u16>)]
    pub(crate) port: u16,

    /// The address to listen on: a name or number of this machine
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) host: String,

    /// Open the page in a browser
    #[arg(long)]
    pub(crate) open: bool,

    #[command(flatten)]
    pub(crate) data_dir: DataDirArgs,

    /// Scaling of pictures of another size than the model's images: crop cuts off what stands out,
    /// pad adds a margin, stretch changes proportions [default: as the training data were fitted;
    /// crop if they were not]
    #[arg(long, value_name = "FIT")]
    pub(crate) fit: Option<Fit>,

    /// The color behind transparent pictures and beside padded ones: white, black or #RRGGBB
    /// [default: that of the training data; if they had none, transparent pictures are refused]
    #[arg(long, value_name = "COLOR", value_parser = parse_background)]
    pub(crate) background: Option<[u8; 3]>,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}
