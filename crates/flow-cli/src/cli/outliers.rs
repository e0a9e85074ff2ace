//! Options of `flow outliers`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, builder::TypedValueParser};
use flow_analysis::outliers::{Compressor, Score};
use flow_data::{
    Location, Split,
    picture::{Fit, parse_background},
};

use super::{CheckpointArgs, DataDirArgs, DeviceArgs, DistributedArgs, values};

/// Options of `flow outliers`.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("questioned").args(["against", "images"]),
    group = ArgGroup::new("task").required(true).multiple(true)
        .args(["against", "images", "rank", "threshold_quantile", "table"]),
    allow_negative_numbers = true,
    after_help = "\
Normal images are those of --dataset. Images in question are those of --against, or image files and
folders; with --rank and --threshold-quantile, those of --dataset if no others are named.

  flow outliers … --against mnist
      AUROC, AUPR and FPR at 95 % of each score, with 95 % bootstrap intervals; --out draws
      histograms and images
  flow outliers … --rank 25
      the strangest images in question; --out draws them
  flow outliers … --threshold-quantile 0.99 FOLDER
      a verdict for each image in question, as CSV: an outlier if its score is above that of 99 % of
      the normal images

Scores, larger for stranger images; all but latent-norm are in bits per dimension
  likelihood        -log p(x)
  typicality        its distance from the mean of -log p over training images, for single images
                    and, with --against, for batches (arXiv:1906.02994)
  complexity        -log p(x) less the length of a lossless code of x (arXiv:1909.11480)
  likelihood-ratio  -log p(x) less that under --background (arXiv:1906.02845)
  latent-norm       the root of the mean square of the latents

Rows of a table are compared with those that took no part in the fit of its model. The result, CSV
on stdout or the .csv or .parquet that --out names, has the columns `row`, counted from 1,
`log_prob`, and `less_likely`, the share of these test rows that are less likely. It is written as
rows are read. With --rank only the K strangest rows are in it, the strangest first; with
--threshold-quantile Q there is a `verdict`, an outlier if fewer than 1 − Q of the test rows are less
likely.

Image files and folders are read as `flow density --help` says.

Images without a finite score count as the strangest. They are counted on stderr, and the exit status
is 1. In JSON, numbers that are not finite are null."
)]
pub(crate) struct OutliersArgs {
    /// Image files in question, and folders of them
    #[arg(value_name = "IMAGES")]
    pub(crate) images: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) model: CheckpointArgs,

    /// A table in question, .csv or .parquet, or `-` for CSV on stdin, with the model that `flow fit`
    /// wrote: see below
    #[arg(
        long,
        value_name = "TABLE",
        conflicts_with_all = [
            "images", "dataset", "against", "split", "limit", "score", "background", "fit",
            "background_color", "compressor", "typical_images", "batch", "bootstrap", "json",
            "data_dir", "cache_dir", "skip_damaged", "distributed",
        ]
    )]
    pub(crate) table: Option<PathBuf>,

    /// Leave out rows of --table in which a value is missing
    #[arg(long, requires = "table")]
    pub(crate) drop_missing: bool,

    /// The data set of normal images [default: the one the model was trained on]
    #[arg(long, value_name = "DATASET", value_parser = values::dataset)]
    pub(crate) dataset: Option<Location>,

    /// The data set in question
    #[arg(long, value_name = "DATASET", value_parser = values::dataset)]
    pub(crate) against: Option<Location>,

    /// The part of both data sets
    #[arg(long, default_value = "test", value_parser = values::split())]
    pub(crate) split: Split,

    /// Take N images of each data set only, evenly spread over the split [default: all]
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub(crate) limit: Option<usize>,

    /// Show the K strangest images in question
    #[arg(long, value_name = "K", value_parser = values::count_up_to::<10_000>)]
    pub(crate) rank: Option<usize>,

    /// Call images outliers if their score is above that of a share Q of the normal images
    #[arg(long, value_name = "Q", value_parser = values::share, conflicts_with = "rank")]
    pub(crate) threshold_quantile: Option<f64>,

    /// The scores, with commas between them [default: all available ones; complexity for --rank and
    /// --threshold-quantile, which take one]
    #[arg(long, value_name = "SCORES", value_delimiter = ',', value_parser = score())]
    pub(crate) score: Vec<Score>,

    /// The background model that likelihood-ratio needs, trained with `flow train --mutate`
    #[arg(long, value_name = "FILE")]
    pub(crate) background: Option<PathBuf>,

    /// Scaling of pictures in question that are of another size than the model's images: crop, pad
    /// or stretch [default: as the training data were fitted; if they were not, other sizes are
    /// refused]
    #[arg(long, value_name = "FIT")]
    pub(crate) fit: Option<Fit>,

    /// The color behind transparent pictures and beside padded ones: white, black or #RRGGBB
    /// [default: that of the training data; if they had none, transparent pictures are refused]
    #[arg(long, value_name = "COLOR", value_parser = parse_background)]
    pub(crate) background_color: Option<[u8; 3]>,

    /// Compressor of the score complexity: png, deflate or zstd
    #[arg(long, default_value = "png", hide_possible_values = true, value_parser = values::choice(
        [Compressor::Png, Compressor::Deflate, Compressor::Zstd].map(|compressor| (compressor.as_str(), compressor))
    ))]
    pub(crate) compressor: Compressor,

    /// Training images whose mean likelihood is the reference of typicality
    #[arg(long, value_name = "N", default_value_t = 5000, value_parser = values::count)]
    pub(crate) typical_images: usize,

    /// Images in a batch, whose typicality --against measures too
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = values::count_up_to::<10_000>)]
    pub(crate) batch: usize,

    /// Bootstrap draws of images for the confidence intervals
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = values::count_up_to::<100_000>)]
    pub(crate) bootstrap: usize,

    /// Seed of dequantization noise, batches and intervals
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = values::whole::<0, u64>)]
    pub(crate) seed: u64,

    /// Print JSON: one object, or one a line for --threshold-quantile
    #[arg(long)]
    pub(crate) json: bool,

    /// The picture (.png, .jpg or .gif) or report (.html) to write; with --threshold-quantile the
    /// file of verdicts, in place of stdout
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) data_dir: DataDirArgs,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,

    #[command(flatten)]
    pub(crate) distributed: DistributedArgs,
}

fn score() -> impl TypedValueParser<Value = Score> {
    values::choice(Score::ALL.map(|score| (score.as_str(), score)))
}
