//! The options of `flow train`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum, builder::TypedValueParser};
use flow_core::train::Memory;
use flow_core::{ops::Precision, train::Optimizer};
use flow_data::DatasetName;
use flow_glow::{Coupling, Dequantization, Peer, ScaleMap, TrainSettings, UnsoundInversion};

use super::{DataDirArgs, DeviceArgs, DistributedArgs, values};
use crate::training::{DEFAULT_EPOCHS, EXP_TANH, VARIATIONAL};

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
    /// The data set, which `flow fetch NAME` gets [default: with --from that of the model, else
    /// mnist; its 10,000 bundled images if it was not fetched and no --data-dir is given]
    #[arg(long, value_parser = values::dataset())]
    pub(crate) dataset: Option<DatasetName>,

    #[command(flatten)]
    pub(crate) data_dir: DataDirArgs,

    /// Measure N test images only, evenly spread, at the end of the training [default: all], and no
    /// more than 1,000 of them after each epoch
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub(crate) eval_images: Option<usize>,

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

    /// Begin with the weights of a trained model: a `model.safetensors` that `flow train` or a
    /// conversion wrote, or, without FILE, the model of MNIST that ships with this program (with
    /// --classes, the one with classes). Size, form and preprocessing are its own, and so are data
    /// set and optimization where no others are given; `--classes` and `--dequantization
    /// variational` can be added
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    #[allow(
        clippy::option_option,
        reason = "clap's form of an option whose value may be left out"
    )]
    pub(crate) from: Option<Option<PathBuf>>,

    /// Go on with the training in the folder: model and optimization are the saved ones, and so are
    /// the limits if no others are given. Without --time-limit, the result is the same, bit for
    /// bit, as if the training had never stopped
    #[arg(long)]
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

    /// Time spent training, with its unit, such as 90s, 15m or 1h30m; a resumed training counts all
    /// of its parts, and measuring the test images comes on top [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub(crate) time_limit: Option<Duration>,
}

/// Size and form of the model.
#[derive(Debug, Args)]
#[command(next_help_heading = "Model")]
pub(crate) struct ModelArgs {
    /// Size and form of the model [default: small]; the options below change parts of it
    #[arg(long)]
    pub(crate) preset: Option<Preset>,

    /// Give the model the form that a Glow of this program has, so that `flow convert --to
    /// PROGRAM` can write it: scale map, order, priors, splits, preprocessing and even noise; its
    /// size stays the preset's
    #[arg(long = "for", value_name = "PROGRAM", value_parser = peer())]
    pub(crate) peer: Option<Peer>,

    /// Levels, each at half the height and width of the one before (L) [default: the preset's]
    #[arg(long, value_name = "N", value_parser = values::count_up_to::<16>)]
    pub(crate) levels: Option<usize>,

    /// Flow steps in each level (K) [default: the preset's]
    #[arg(long, value_name = "N", value_parser = values::count_up_to::<256>)]
    pub(crate) steps: Option<usize>,

    /// Hidden channels of the coupling networks [default: the preset's]
    #[arg(long, value_name = "N", value_parser = values::count_up_to::<8192>)]
    pub(crate) width: Option<usize>,

    /// Transform of a coupling's half of the channels [default: affine]
    #[arg(long, value_parser = values::choice([
        ("affine", Coupling::Affine),
        ("additive", Coupling::Additive),
    ]))]
    pub(crate) coupling: Option<Coupling>,

    /// Scale of an affine coupling: σ(s+2), σ(s+2)+0.001, or exp(b·tanh(s/b)) [default: the
    /// preset's]
    #[arg(long, value_parser = values::choice([
        ("sigmoid", ScaleMap::Sigmoid),
        ("sigmoid-offset", ScaleMap::SigmoidOffset),
        ("exp-tanh", EXP_TANH),
    ]))]
    pub(crate) scale_map: Option<ScaleMap>,

    /// Form in which the model sees a pixel [default: equalized; centered for paper]
    #[arg(long, value_enum)]
    pub(crate) preprocessing: Option<PreprocessingChoice>,

    /// Noise in the gaps between pixel values: even, or learned by a small flow that sees the
    /// image. Learned noise makes training a fifth slower and leaves sampling as fast [default:
    /// variational; uniform for paper and in bench]
    #[arg(long, value_parser = values::choice([
        ("uniform", Dequantization::Uniform),
        ("variational", VARIATIONAL),
    ]))]
    pub(crate) dequantization: Option<Dequantization>,

    /// Bits kept of each channel value, 1 to 8 [default: 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=8))]
    pub(crate) bits: Option<u32>,

    /// Train with the class of each image, so that the model can draw one class
    #[arg(long)]
    pub(crate) classes: bool,
}

/// The fit of the model.
#[derive(Debug, Args)]
#[command(next_help_heading = "Optimization")]
pub(crate) struct OptimizationArgs {
    #[arg(
        long,
        value_name = "N",
        value_parser = values::count_up_to::<65536>,
        help = default("Images in a training step", TrainSettings::default().batch_size)
    )]
    pub(crate) batch_size: Option<usize>,

    #[arg(
        long,
        value_name = "RATE",
        value_parser = values::positive,
        help = default(
            "Learning rate after the warm-up; it then falls to 0 along a cosine",
            format!(
                "{}; {} for base, {} for paper",
                Preset::Small.learning_rate(),
                Preset::Base.learning_rate(),
                Preset::Paper.learning_rate()
            )
        )
    )]
    pub(crate) lr: Option<f64>,

    #[arg(
        long,
        value_parser = values::choice([("adam", Optimizer::Adam), ("adamax", Optimizer::Adamax)]),
        help = "Optimizer [default: adam]"
    )]
    pub(crate) optimizer: Option<Optimizer>,

    #[arg(
        long,
        value_parser = precision(),
        help = "Precision of the coupling networks in training; bf16 is faster on processors with \
                AVX512-BF16, f32 on others [default: f32]"
    )]
    pub(crate) precision: Option<Precision>,

    /// Activations kept for the backward pass: plain keeps all; constant keeps the outputs of the
    /// levels and inverts the flow block by block, with average and moments in a file. Deep models
    /// then need little more memory than shallow ones, and train slower [default: plain]
    #[arg(long, value_parser = memory())]
    pub(crate) memory: Option<Memory>,

    /// Action if the inversion of a step is too inexact: plain repeats the step with all
    /// activations, stop ends the training [default: plain]
    #[arg(long, value_name = "ACTION", value_parser = values::choice([
        ("plain", UnsoundInversion::Plain),
        ("stop", UnsoundInversion::Stop),
    ]))]
    pub(crate) unsound_inversion: Option<UnsoundInversion>,

    #[arg(
        long,
        value_name = "N",
        value_parser = values::whole::<0, u64>,
        help = default(
            "Steps over which the learning rate rises from 0",
            TrainSettings::default().optimization.warmup_steps
        )
    )]
    pub(crate) warmup_steps: Option<u64>,

    #[arg(
        long,
        value_name = "NORM",
        value_parser = values::positive,
        help = default(
            "Largest norm of the gradient over all parameters; larger ones are scaled down to it",
            TrainSettings::default().optimization.clip_norm
        )
    )]
    pub(crate) clip_norm: Option<f64>,

    #[arg(
        long,
        value_name = "SHARE",
        value_parser = values::share,
        help = default(
            "Decay of the moving average of the weights in a step; eval and sample use the average",
            TrainSettings::default().optimization.average_decay
        )
    )]
    pub(crate) average_decay: Option<f64>,

    /// Weight of the classification loss of a model with --classes, beside the likelihood, which
    /// depends little on the class [default: 5 with --classes]
    #[arg(long, value_name = "WEIGHT", value_parser = values::at_least_zero)]
    pub(crate) classification: Option<f64>,

    /// Most rollbacks of a training that diverges, each to its last good state and with half the
    /// learning rate, before it is given up
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) max_rollbacks: u32,

    #[arg(
        long,
        value_name = "N",
        value_parser = values::whole::<0, u64>,
        help = default(
            "Seed of the weights, the order of the images and the dequantization noise",
            TrainSettings::default().seed
        )
    )]
    pub(crate) seed: Option<u64>,
}

/// A form of preprocessing, before anything of the data is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PreprocessingChoice {
    /// Its value, centered on 0: the paper's
    Centered,
    /// The logit of it, which makes room at black and white
    Logit,
    /// The logit of its rank: the more often a value occurs in the training images, the more room
    /// it gets
    Equalized,
}

/// A named model configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Preset {
    /// 2 levels of 8 steps, width 64: minutes on a CPU
    #[default]
    Small,
    /// 2 levels of 16 steps, width 128: an hour or more on a CPU
    Base,
    /// The paper's model, 3 levels (2 for MNIST) of 32 steps, width 512: for a GPU
    Paper,
}

impl Preset {
    /// Its name on the command line.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Base => "base",
            Self::Paper => "paper",
        }
    }

    /// The form in which its model sees a pixel.
    pub(crate) fn preprocessing(self) -> PreprocessingChoice {
        match self {
            Self::Small | Self::Base => PreprocessingChoice::Equalized,
            Self::Paper => PreprocessingChoice::Centered,
        }
    }

    /// The noise by which its model fills the gaps between pixel values.
    pub(crate) fn dequantization(self) -> Dequantization {
        match self {
            Self::Small | Self::Base => VARIATIONAL,
            Self::Paper => Dequantization::Uniform,
        }
    }

    /// The learning rate it starts from: the larger a model, the less it bears.
    pub(crate) fn learning_rate(self) -> f64 {
        match self {
            Self::Small => TrainSettings::default().optimization.learning_rate,
            Self::Base => 4e-3,
            Self::Paper => 1e-3,
        }
    }
}

/// Values of `--precision`.
pub(super) fn precision() -> impl TypedValueParser<Value = Precision> {
    values::choice([("f32", Precision::F32), ("bf16", Precision::Bf16)])
}

/// Names that `--for` takes.
pub(super) fn peer() -> impl TypedValueParser<Value = Peer> {
    values::choice(Peer::ALL.map(|peer| (peer.as_str(), peer)))
}

/// Values of `--memory`.
pub(super) fn memory() -> impl TypedValueParser<Value = Memory> {
    values::choice([("plain", Memory::Plain), ("constant", Memory::Constant)])
}

fn default(help: &str, value: impl std::fmt::Display) -> String {
    format!("{help} [default: {value}]")
}
