//! Options of `flow edit`.

use std::{path::PathBuf, str::FromStr};

use clap::{ArgGroup, Args};
use flow_data::{Location, Split};

use super::{CheckpointArgs, DataDirArgs, DeviceArgs, FittingArgs, values};

/// Options of `flow edit`.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("edited").required(true).args(["index", "images"]),
    after_help = "\
An attribute is the direction in latent space from the mean of one set of images to that of another:
  thickness, slant, width, brightness
                  from the quarter of the training images that has least of it to the quarter that
                  has most, measured by moments of the pixels
  4:9             from the images of class 4 to those of class 9
  a column of --labels
                  from the images with the lower value to those with the higher; where there are
                  more than two values, from the lowest quarter to the highest

Examples
  flow edit --checkpoint F --attribute thickness --index 0,1,2,3
  flow edit --checkpoint F --attribute 4:9 --index 4,6 --strength 0..1 --steps 6
  flow edit --checkpoint F --attribute smile --labels faces.csv --images me.png"
)]
pub(crate) struct EditArgs {
    #[command(flatten)]
    pub(crate) model: CheckpointArgs,

    /// The attribute to change: thickness, slant, width, brightness, two classes as in 4:9, or a
    /// column of --labels
    #[arg(long, value_name = "NAME")]
    pub(crate) attribute: String,

    /// The images to change, by their places in the data set, counted from 0: a row each
    #[arg(long, value_name = "I,…", value_delimiter = ',', value_parser = values::whole::<0, usize>)]
    pub(crate) index: Vec<usize>,

    /// The images to change: pictures of any format, fitted as the training data were, read as `flow
    /// density --help` says
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) images: Vec<PathBuf>,

    /// The data set [default: the one the model was trained on]
    #[arg(long, value_name = "DATASET", value_parser = values::dataset)]
    pub(crate) dataset: Option<Location>,

    /// The part of the data set from which images are changed
    #[arg(long, default_value = "test", value_parser = values::split())]
    pub(crate) split: Split,

    /// Amount of the attribute to add, from the first column to the last: 1 is the distance between
    /// the means of both sets, 0 gives the image back. The default is about half a standard deviation
    /// of training images
    #[arg(
        long,
        value_name = "A..B",
        default_value = "-0.25..0.25",
        allow_hyphen_values = true
    )]
    pub(crate) strength: Strengths,

    /// Columns
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = values::steps)]
    pub(crate) steps: usize,

    /// A CSV file with a header. Its column `file` (image files, relative to the CSV file) or
    /// `index` (places among the training images) names images, the others hold numbers
    #[arg(long, value_name = "FILE")]
    pub(crate) labels: Option<PathBuf>,

    /// Training images to find the two sets in, evenly spread
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = values::count)]
    pub(crate) examples: usize,

    /// The class as which all images are encoded, by name or number, counted from 0; for models
    /// trained with --classes [default: 0]
    #[arg(long, value_name = "CLASS")]
    pub(crate) class: Option<String>,

    /// The picture to write: a .png, .jpg or .gif; `-` is stdout, a PNG
    #[arg(long, value_name = "FILE", default_value = "edit.png")]
    pub(crate) out: PathBuf,

    #[command(flatten)]
    pub(crate) data_dir: DataDirArgs,

    #[command(flatten)]
    pub(crate) fitting: FittingArgs,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

/// From one strength to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Strengths {
    first: f64,
    last: f64,
}

impl Strengths {
    /// `steps` of them at equal distances, two or more.
    pub(crate) fn spread(self, steps: usize) -> Vec<f64> {
        let gaps = (steps - 1) as f64;
        let at = |step| {
            let to = step as f64;
            (self.first * (gaps - to) + self.last * to) / gaps
        };
        (0..steps).map(at).collect()
    }
}

impl FromStr for Strengths {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once("..").and_then(|(first, last)| {
            let finite = |text: &str| text.parse::<f64>().ok().filter(|x| x.abs() <= 1e6);
            Some((finite(first)?, finite(last)?))
        });
        let expected = "expected two numbers such as -2..2, at most a million";
        let (first, last) = numbers.ok_or(expected)?;
        Ok(Self { first, last })
    }
}
