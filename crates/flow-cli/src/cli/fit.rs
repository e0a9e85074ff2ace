//! Options of `flow fit`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use flow_table::{Choice, Wanted};

use super::{DeviceArgs, values};

/// Options of `flow fit`.
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
TABLE is a CSV file with a first line of names (separated by commas, semicolons, tabs or `|`), a
Parquet file, or `-` for CSV on stdin. Kinds of columns are guessed and shown before the fit begins:
  category  texts
  integer   whole numbers
  positive  numbers above 0, modelled by their logarithms
  real      other numbers
Columns that hold one value are left out. Densities are in the units of the columns. Those of
integers and categories are lower bounds: of the value with uniform noise on (0, 1), drawn anew in
each epoch.

Tables larger than memory are shuffled from a temporary file.

A share of the rows, --test-share, takes no part in the fit. Their mean ln p is the result, beside
that of a Gaussian and of the best mixture of Gaussians fitted to the same rows.

Ctrl-C ends the fit after the epoch at hand, with the best weights so far; a second one at once.

Examples
  flow fit wine.csv --out wine.safetensors
  flow fit runs.parquet --columns theta,phi --given energy --angle phi=360 --plot pairs.png
  flow score   --checkpoint wine.safetensors wine.csv --out scores.csv
  flow sample  --checkpoint wine.safetensors --rows 1000 --out new.parquet
  flow outliers --checkpoint wine.safetensors --table wine.csv --rank 10"
)]
pub(crate) struct FitArgs {
    /// The table: a .csv or .parquet file, or `-` for CSV on stdin
    #[arg(value_name = "TABLE")]
    pub(crate) table: PathBuf,

    #[command(flatten)]
    pub(crate) columns: ColumnArgs,

    #[command(flatten)]
    pub(crate) flow: FlowArgs,

    /// The file of the model
    #[arg(long, value_name = "FILE", default_value = "flow.safetensors")]
    pub(crate) out: PathBuf,

    /// A picture (.png, .jpg) of the first 8 columns, each against each: test rows beside samples
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,

    /// A picture (.png, .jpg) of the calibration of a conditional flow: ranks of the values of test
    /// rows among draws, and coverage
    #[arg(long, value_name = "FILE", requires = "given")]
    pub(crate) calibration: Option<PathBuf>,

    /// Share of the rows that takes no part in the fit, drawn by --seed
    #[arg(long, value_name = "SHARE", default_value_t = 0.1, value_parser = values::share)]
    pub(crate) test_share: f64,

    /// Seed of weights, noise, batches and test rows
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = values::whole::<0, u64>)]
    pub(crate) seed: u64,

    /// Print one JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

/// Columns and their kinds.
#[derive(Debug, Args)]
#[command(next_help_heading = "Columns")]
pub(crate) struct ColumnArgs {
    /// Columns to model, with commas between them [default: all but the given and constant ones]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) columns: Vec<String>,

    /// Columns that are known: the density is conditional on them
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) given: Vec<String>,

    /// Columns of categories, also where they are numbers
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) categorical: Vec<String>,

    /// Columns of real numbers, also where they are whole or positive
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) real: Vec<String>,

    /// Columns of angles: NAME in radians, or NAME=TURN, as in wind=360 and hour=24
    #[arg(long, value_name = "NAME[=TURN]", value_delimiter = ',', value_parser = values::angle)]
    pub(crate) angle: Vec<(String, Wanted)>,

    /// Columns of numbers within bounds: NAME=LOW..HIGH, as in share=0..1
    #[arg(long, value_name = "NAME=LOW..HIGH", value_delimiter = ',', value_parser = values::bounded)]
    pub(crate) bounded: Vec<(String, Wanted)>,

    /// Leave out rows in which a value is missing: empty, NA, NaN, null or none
    #[arg(long)]
    pub(crate) drop_missing: bool,
}

/// The flow and its training.
#[derive(Debug, Args)]
#[command(next_help_heading = "Flow")]
pub(crate) struct FlowArgs {
    /// The kind of flow [default: nsf; nsf-ar for one column]
    #[arg(long, value_name = "RECIPE")]
    pub(crate) recipe: Option<RecipeChoice>,

    /// Couplings or autoregressive layers
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = values::count_up_to::<64>)]
    pub(crate) layers: usize,

    /// Width of their networks
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = values::count_up_to::<4096>)]
    pub(crate) width: usize,

    /// Passes over the rows at most [default: about 10,000 steps, from 10 to 500 passes]
    #[arg(long, value_name = "N", value_parser = values::count_up_to::<100_000>)]
    pub(crate) epochs: Option<usize>,

    /// Passes without improvement that end the fit [default: a tenth of --epochs, at least 10]
    #[arg(long, value_name = "N", value_parser = values::count_up_to::<100_000>)]
    pub(crate) patience: Option<usize>,

    /// Rows of a step
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = values::count_up_to::<65_536>)]
    pub(crate) batch_size: usize,

    /// Learning rate at the beginning
    #[arg(long, value_name = "RATE", default_value_t = 1e-3, value_parser = values::positive)]
    pub(crate) lr: f64,
}

/// A recipe of flow-core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RecipeChoice {
    /// Spline couplings
    Nsf,
    /// Autoregressive splines: often better, and slower to sample
    NsfAr,
    /// Affine couplings
    Realnvp,
    /// Affine autoregressive layers
    Maf,
}

impl RecipeChoice {
    /// The name on the command line.
    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or(String::new(), |value| value.get_name().to_owned())
    }
}

impl ColumnArgs {
    /// The columns and kinds that are asked for.
    pub(crate) fn choice(&self) -> Choice {
        let all = |names: &[String], wanted| {
            let named = |name: &String| (name.clone(), wanted);
            names.iter().map(named).collect::<Vec<_>>()
        };
        let kinds = [
            all(&self.categorical, Wanted::Category),
            all(&self.real, Wanted::Real),
            self.angle.clone(),
            self.bounded.clone(),
        ];
        Choice {
            columns: self.columns.clone(),
            given: self.given.clone(),
            kinds: kinds.concat(),
            drop_missing: self.drop_missing,
        }
    }
}
