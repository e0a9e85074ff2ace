//! The options of `flow train`.

mod model;
mod optimization;

use std::{path::PathBuf, time::Duration};

use clap::Args;
use flow_data::Location;

use super::{DataDirArgs, DeviceArgs, DistributedArgs, PictureArgs, values};
use crate::training::DEFAULT_EPOCHS;

pub(crate) use model::{ModelArgs, PreprocessingChoice, Preset};
pub(crate) use optimization::OptimizationArgs;

pub(super) use model::peer;
pub(super) use optimization::{memory, precision};

/// Options of `flow train`.
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
The folder given by --out receives
  model.safetensors     the trained model, which the other commands take
  training.safetensors  the state of the training, which --resume goes on from
  metrics.jsonl         one JSON object a line: step, epoch, train_bits_per_dim, test_bits_per_dim
                        where it was measured, lr, grad_norm, images_per_second, seconds; with
                        --memory constant the worst inversion_error, and plain_steps, how many were
                        beyond its bound; for a step that was refused: step, epoch, rollback, cause,
                        lr_factor, seconds
  samples/              a grid of samples after each epoch
  models/               with --keep-interval, the model after so many seconds of training
  curve.png             bits per dimension against the training step
  events.out.tfevents.flow
                        with --tensorboard, metrics and samples for `tensorboard --logdir DIR`

Examples
  flow train                                      a first model, on the bundled images of MNIST
  flow train --preset base --time-limit 2h        a larger one, for two hours
  flow train --preset base --time-limit 3h --resume
                                                  an hour more
  flow train --from --dataset fashion-mnist --lr 1e-3 --epochs 3
                                                  the model that ships, fitted to other images
  flow train --dataset cifar10 --classes --flip   in colors, with a class for each image
  flow train --condition train.csv --test-condition test.csv
                                                  with numbers for each image, such as its slant
  flow train --for nflows                         a model that nflows can load"
)]
pub(crate) struct TrainArgs {
    // First, as the headings of the others hold for what follows them.
    #[command(flatten)]
    pub(crate) device: DeviceArgs,

    #[command(flatten)]
    pub(crate) distributed: DistributedArgs,

    #[command(flatten)]
    pub(crate) data: DataArgs,

    #[command(flatten)]
    pub(crate) output: OutputArgs,

    #[command(flatten)]
    pub(crate) limits: LimitArgs,

    #[command(flatten)]
    pub(crate) model: ModelArgs,

    #[command(flatten)]
    pub(crate) optimization: OptimizationArgs,
}

/// Data to train on.
#[derive(Debug, Args)]
#[command(next_help_heading = "Data")]
pub(crate) struct DataArgs {
    /// The data set: mnist, fashion-mnist, cifar10 or hub:OWNER/NAME, which `flow fetch` gets; or
    /// the path of your own images, see below [default: with --from that of the model, else mnist;
    /// its 10,000 bundled images if it was not fetched and no --data-dir is given]
    #[arg(long, value_name = "DATASET", value_parser = values::dataset)]
    pub(crate) dataset: Option<Location>,

    #[command(flatten)]
    pub(crate) data_dir: DataDirArgs,

    #[command(flatten)]
    pub(crate) pictures: PictureArgs,

    /// Measure N test images only, evenly spread, at the end of the training [default: all], and no
    /// more than 1,000 of them after each epoch
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub(crate) eval_images: Option<usize>,

    /// Numbers that the model is conditioned on, such as measured attributes or an embedding: a CSV
    /// file with a first line of the columns' names and a row for each training image, in their
    /// order or by a column `index`. `flow measure` writes such a file
    #[arg(
        long,
        value_name = "FILE",
        requires = "test_condition",
        conflicts_with_all = ["classes", "peer"]
    )]
    pub(crate) condition: Option<PathBuf>,

    /// The same numbers of the test images
    #[arg(long, value_name = "FILE", requires = "condition")]
    pub(crate) test_condition: Option<PathBuf>,

    /// Leave the condition to the priors; the coupling networks do not see it
    #[arg(long, requires = "condition")]
    pub(crate) condition_priors_only: bool,

    /// Mirror each training image with probability ½; for cifar10 only, as digits have a left and a
    /// right
    #[arg(long)]
    pub(crate) flip: bool,

    /// Replace each channel value of a training image with probability RATE by a random one, for
    /// the background model that `flow outliers --background` takes [default: 0]
    #[arg(long, value_name = "RATE", value_parser = values::share)]
    pub(crate) mutate: Option<f64>,
}

/// The folder to write to, and the training to go on from.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// The folder to write to [default: runs/DATASET-PRESET; runs/DATASET-fine-tuned with --from]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// Begin with the weights of a trained model, a `model.safetensors` of `flow train` or of a
    /// conversion. Without FILE, take the model of MNIST that ships with this program (with
    /// --classes, the one with classes). Size, form and preprocessing are its own, and so are data
    /// set and optimization where no others are given; `--classes` and `--dequantization
    /// variational` can be added
    #[arg(long, value_name = "FILE", conflicts_with_all = ["resume", "size", "color"])]
    #[allow(
        clippy::option_option,
        reason = "clap's form of an option whose value may be left out"
    )]
    pub(crate) from: Option<Option<PathBuf>>,

    /// Go on with the training in the folder: model and optimization are the saved ones, and so are
    /// the limits if no others are given. Without --time-limit, the result is the same, bit for
    /// bit, as if the training had never stopped
    #[arg(long, conflicts_with_all = ["size", "fit", "color", "background", "test_share"])]
    pub(crate) resume: bool,

    /// Replace the training in the folder
    #[arg(long, conflicts_with = "resume")]
    pub(crate) overwrite: bool,

    /// Also write an event file for TensorBoard; a resumed training goes on with the one it has
    #[arg(long)]
    pub(crate) tensorboard: bool,

    /// Time from one save to the next between epochs, the most that a crash loses
    #[arg(long, value_name = "TIME", value_parser = values::duration, default_value = "1m")]
    pub(crate) save_interval: Duration,

    /// Keep a copy of the model each time that so much time was spent training [default: never]
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub(crate) keep_interval: Option<Duration>,
}

/// Limits of the training.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits (the first one reached ends the training)")]
pub(crate) struct LimitArgs {
    #[arg(
        long,
        value_name = "N",
        value_parser = values::whole::<1, u64>,
        help = format!("Passes over the training images [default: {DEFAULT_EPOCHS} if no limit is given]")
    )]
    pub(crate) epochs: Option<u64>,

    /// Training steps, one batch each [default: no limit]
    #[arg(long, value_name = "N", value_parser = values::whole::<1, u64>)]
    pub(crate) max_steps: Option<u64>,

    /// Time spent training, with its unit, such as 90s, 15m or 1h30m. A resumed training counts all
    /// of its parts; measuring the test images comes on top [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub(crate) time_limit: Option<Duration>,
}
