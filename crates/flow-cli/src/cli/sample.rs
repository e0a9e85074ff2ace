//! Options of `flow sample`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{CheckpointArgs, DeviceArgs, values};

/// Options of `flow sample`.
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Examples
  flow sample --checkpoint F --temperature 0.3,0.7,1 --count 8     eight images in three rows
  flow sample --checkpoint F --condition wanted.csv                an image for each row of numbers
  flow sample --checkpoint F --count 100 --out-folder samples      a file for each image
  flow sample --checkpoint F --animate walk --out walk.gif         a walk that ends at its start
  flow sample --checkpoint F --animate training --out training.gif the samples of every epoch
  flow sample --checkpoint F --rows 1000 --out new.csv             rows of a table"
)]
pub(crate) struct SampleArgs {
    #[command(flatten)]
    pub(crate) model: CheckpointArgs,

    /// Draw rows of a table, from a model that `flow fit` wrote
    #[arg(
        long,
        value_name = "N",
        value_parser = values::count,
        conflicts_with_all = [
            "count", "class", "condition", "animate", "frames", "out_tensor", "out_folder",
        ]
    )]
    pub(crate) rows: Option<usize>,

    /// A value of a given column of the table, as in --given energy=3; once for each
    #[arg(long, value_name = "COLUMN=VALUE", requires = "rows", value_parser = values::given)]
    pub(crate) given: Vec<(String, String)>,

    /// Images to draw at each temperature, at most 10000 [default: 25 in a square; 10 in each row
    /// if there are several temperatures]
    #[arg(long, value_name = "N", value_parser = values::count_up_to::<10_000>)]
    pub(crate) count: Option<usize>,

    /// Spread of the latent noise: 1 is the model's own distribution, less gives cleaner and more
    /// similar images, 0 the most likely latent only. Several, as in 0.3,0.7,1, give a row of the
    /// same noise each [default: 0.7; 1 for --rows]
    #[arg(long, value_name = "T", value_delimiter = ',', value_parser = values::at_least_zero)]
    pub(crate) temperature: Vec<f64>,

    /// Seed of the latent noise: the same seed gives the same images
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = values::whole::<0, u64>)]
    pub(crate) seed: u64,

    /// Draw this class only, by name or number, counted from 0; for models trained with --classes
    /// [default: each in turn]
    #[arg(long, value_name = "CLASS")]
    pub(crate) class: Option<String>,

    /// The numbers that images are to have, for a model trained with --condition: a CSV file with a
    /// first line of the columns' names, in any order, and a row for each image; of one row,
    /// --count images are drawn
    #[arg(long, value_name = "FILE", conflicts_with = "class")]
    pub(crate) condition: Option<PathBuf>,

    /// Write a GIF that moves
    #[arg(long, value_name = "MOTION")]
    pub(crate) animate: Option<Motion>,

    /// Pictures of a walk
    #[arg(long, value_name = "N", default_value_t = 48, value_parser = values::count_up_to::<1000>)]
    pub(crate) frames: usize,

    /// The picture to write: a .png, .jpg or .gif, with --animate a .gif; `-` is stdout [default:
    /// samples.png or samples.gif; none with --out-folder]. With --rows the table, a .csv or
    /// .parquet [default: CSV on stdout]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    /// Also write a .safetensors or .npz file with x [N, C, H, W], pixels in u8, and labels, one
    /// each, if the model has classes, or condition [N, K]
    #[arg(long, value_name = "FILE", conflicts_with = "animate")]
    pub(crate) out_tensor: Option<PathBuf>,

    /// Write each image as a .png into this folder, which is new or empty: 000.png, 001.png, … or, if
    /// the model has classes, such as cat-000.png, dog-001.png
    #[arg(long, value_name = "DIR", conflicts_with = "animate")]
    pub(crate) out_folder: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

/// The content of a GIF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Motion {
    /// Every image on its own path through latent space, along arcs and back to its start
    Walk,
    /// The samples that `flow train` drew after each epoch, in the folder of the checkpoint
    Training,
}

impl SampleArgs {
    /// The temperatures of images.
    pub(crate) fn temperatures(&self) -> &[f64] {
        match &self.temperature[..] {
            [] => &[0.7],
            asked => asked,
        }
    }

    /// The GIF to write.
    pub(crate) fn gif(&self) -> &Path {
        self.out.as_deref().unwrap_or(Path::new("samples.gif"))
    }

    /// The picture of all images to write, if there is to be one.
    pub(crate) fn grid(&self) -> Option<&Path> {
        let default = self.out_folder.is_none();
        let default = default.then_some(Path::new("samples.png"));
        self.out.as_deref().or(default)
    }
}
