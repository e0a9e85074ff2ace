//! Options of `flow data`.

use std::path::PathBuf;

use clap::Args;
use flow_data::Location;

use super::{DataDirArgs, PictureArgs, values};

/// Options of `flow data`.
#[derive(Debug, Args)]
#[command(after_help = "\
All images are decoded once, and nothing is written but the contact sheet. Duplicates are images of
the same size and the same pixels, whatever the formats of their files. Values are those of the
images as they are found, in 8 bits, before anything is scaled.

Examples
  flow data photos                                what is there, and what `flow train` makes of it
  flow data photos --size 32 --color grey         the same with these options
  flow data 'shard-{000..127}.tar' --out sheet.png
                                                  with a picture: a row of images of each class")]
pub(crate) struct SurveyArgs {
    /// The data set: the path of images of your own, as `flow train --dataset` takes it, or mnist,
    /// fashion-mnist, cifar10 or hub:OWNER/NAME
    #[arg(value_name = "DATASET", value_parser = values::dataset)]
    pub(crate) dataset: Location,

    /// The contact sheet to write, as a .png, .jpg or .gif: ten images of each class, at most 20
    /// classes; a hundred where there are none
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    /// Seed of the choice of images for the contact sheet
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = values::whole::<0, u64>)]
    pub(crate) seed: u64,

    /// Print one JSON object, which lists all sizes, classes, damaged and duplicate images
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) pictures: PictureArgs,

    #[command(flatten)]
    pub(crate) data_dir: DataDirArgs,
}
