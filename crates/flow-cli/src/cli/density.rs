//! Options of `flow density`.

use std::path::PathBuf;

use clap::Args;

use super::{CheckpointArgs, DeviceArgs, FittingArgs, values};

/// Options of `flow density`.
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Each image file gets a line, in CSV below a header:
  image           the file
  log_likelihood  in nats: a lower bound, since the noise fills the gaps between pixel values
  bits_per_dim    its negative in bits per dimension, whose mean `flow eval` reports
With --json each line is an object with these fields. All files get the same noise, so the numbers of
a file depend on the file, the model and the options alone. Numbers that are not finite are NaN, inf
or -inf in CSV, null in JSON. They are counted on stderr, and the exit status is 1.

Files are pictures of any format (PNG, JPEG, WebP, BMP, TIFF, the first frame of a GIF), turned by
their EXIF orientation and fitted to the size of the model's images as the training data were.
Colors become grey, or grey becomes colors, as the model needs: grey is 0.299 red + 0.587 green +
0.114 blue (ITU-R BT.601), as in Pillow and torchvision. Transparent pixels are laid on the
background of the training data. Where these were not fitted, or had no background, --fit and
--background say it, or such pictures are refused. Folders are searched with all folders below them
for files with the extension of such a format, except for names that begin with a dot. A warning
names each file that cannot be read, the others are measured, and the exit status is 1.

For a model with classes, each class counts as equally likely unless --class names one."
)]
pub(crate) struct DensityArgs {
    /// Image files, and folders of them
    #[arg(value_name = "IMAGES", required = true)]
    pub(crate) images: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) model: CheckpointArgs,

    /// The class of all images, by name or number, counted from 0; for models trained with --classes
    /// [default: any]
    #[arg(long, value_name = "CLASS")]
    pub(crate) class: Option<String>,

    /// Draws of dequantization noise for each image; the result is the mean of their likelihoods
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = values::count_up_to::<10_000>)]
    pub(crate) importance_samples: usize,

    /// Seed of the dequantization noise
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = values::whole::<0, u64>)]
    pub(crate) seed: u64,

    /// Write one JSON object a line instead of CSV
    #[arg(long)]
    pub(crate) json: bool,

    /// The file to write [default: stdout]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    /// Also draw the bits of each pixel of each file, from blue for few to yellow for many, into this
    /// .png, .jpg or .gif. The range of the colors is that of all files. Pixels share the bits of the
    /// latents that stand for them
    #[arg(long, value_name = "FILE", conflicts_with_all = ["class", "importance_samples"])]
    pub(crate) map: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) fitting: FittingArgs,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}
