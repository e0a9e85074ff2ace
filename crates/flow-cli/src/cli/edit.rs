//! Options of `flow edit`.

use std::{path::PathBuf, str::FromStr};

use clap::{ArgGroup, Args};
use flow_data::{Location, Split};

use super::{CheckpointArgs, DataDirArgs, DeviceArgs, FittingArgs, values};

/// Options of `flow edit`.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("edited").required(true).args(["index", "images"]),
    group = ArgGroup::new("change").required(true).args(["attribute", "redraw"]),
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
  flow edit --checkpoint F --attribute smile --labels faces.csv --images me.png
  flow edit --checkpoint F --attribute slant --strength 0.2 --attribute width --strength -0.1 --index 4
                                                                      one image with both changes
  flow edit --checkpoint F --redraw 0 --index 4                       other details, the same shape

With --redraw, columns are draws: the latents of the named levels are drawn anew, and those of the
others are the image's own. Level 0 has the finest details, the last one the shape."
)]
pub(crate) struct EditArgs {
    #[command(flatten)]
    pub(crate) model: CheckpointArgs,

    /// The attribute to change: thickness, slant, width, brightness, two classes as in 4:9, or a
    /// column of --labels; several change together
    #[arg(long, value_name = "NAME")]
    pub(crate) attribute: Vec<String>,

    /// Draw the latents of these levels anew instead, counted from 0
    #[arg(
        long,
        value_name = "LEVEL,…",
        value_delimiter = ',',
        value_parser = values::whole::<0, usize>,
        conflicts_with_all = ["attribute", "strength", "labels", "examples"]
    )]
    pub(crate) redraw: Vec<usize>,

    /// Spread of the latents that are drawn anew
    #[arg(
        long,
        value_name = "T",
        default_value_t = 0.7,
        conflicts_with = "attribute",
        value_parser = values::at_least_zero
    )]
    pub(crate) temperature: f64,

    /// Seed of the latents that are drawn anew
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        conflicts_with = "attribute",
        value_parser = values::whole::<0, u64>
    )]
    pub(crate) seed: u64,

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

    /// Amount of the attribute to add, from the first column to the last, or one amount: 1 is the
    /// distance between the means of both sets, 0 gives the image back. Once for each --attribute
    /// [default: -0.25..0.25, about half a standard deviation of training images to either side]
    #[arg(long, value_name = "A..B", allow_hyphen_values = true)]
    pub(crate) strength: Vec<Strengths>,

    /// Columns [default: 9; 1 if each --strength is one amount]
    #[arg(long, value_name = "N", value_parser = values::count_up_to::<1000>)]
    pub(crate) steps: Option<usize>,

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

/// Columns, unless there is one amount.
const COLUMNS: usize = 9;

impl EditArgs {
    /// The amounts of each attribute, and the number of columns.
    ///
    /// # Errors
    /// If some attributes have an amount, and others have none.
    pub(crate) fn strengths(&self) -> Result<(Vec<Strengths>, usize), String> {
        let (count, all) = (self.strength.len(), self.attribute.len());
        let strengths = match count {
            0 => vec![Strengths::DEFAULT; all],
            _ if count == all => self.strength.clone(),
            _ => {
                return Err(format!(
                    "`--attribute` is there {all} times and `--strength` {count} times; give one for each"
                ));
            }
        };
        let are_single = !strengths.is_empty() && strengths.iter().all(Strengths::is_single);
        let default = if are_single { 1 } else { COLUMNS };
        Ok((strengths, self.steps.unwrap_or(default)))
    }
}

/// From one strength to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Strengths {
    first: f64,
    last: f64,
}

impl Strengths {
    /// About half a standard deviation of training images to either side.
    const DEFAULT: Self = Self {
        first: -0.25,
        last: 0.25,
    };

    fn is_single(&self) -> bool {
        self.first.total_cmp(&self.last).is_eq()
    }

    /// `steps` of them at equal distances; one is the first.
    pub(crate) fn spread(self, steps: usize) -> Vec<f64> {
        if self.is_single() || steps == 1 {
            return vec![self.first; steps];
        }
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
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        let finite = |text: &str| text.parse::<f64>().ok().filter(|x| x.abs() <= 1e6);
        let numbers = finite(first).zip(finite(last));
        let expected = "expected one number or two such as -2..2, at most a million";
        let (first, last) = numbers.ok_or(expected)?;
        Ok(Self { first, last })
    }
}
