//! What can be typed: commands, options, and the texts of `--help`.

mod cluster;
mod decode;
mod density;
mod edit;
mod encode;
mod interpolate;
mod outliers;
mod sample;
mod train;
mod values;
mod verify;

use std::path::PathBuf;

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, error::ErrorKind};
use flow_data::{DatasetName, Split};
use flow_glow::{Memory, Precision};

pub(crate) use cluster::{ClusterArgs, Method};
pub(crate) use decode::DecodeArgs;
pub(crate) use density::DensityArgs;
pub(crate) use edit::EditArgs;
pub(crate) use encode::EncodeArgs;
pub(crate) use interpolate::InterpolateArgs;
pub(crate) use outliers::OutliersArgs;
pub(crate) use sample::{Motion, SampleArgs};
pub(crate) use train::{
    LimitArgs, ModelArgs, OptimizationArgs, OutputArgs, PreprocessingChoice, Preset, TrainArgs,
};
pub(crate) use verify::VerifyArgs;

use crate::{device::DeviceChoice, pretrained::CheckpointArgs, ranks::Engine, training};

/// Train, evaluate and sample Glow, a normalizing flow for images
#[derive(Debug, Parser)]
#[command(
    name = "flow",
    version,
    arg_required_else_help = true,
    after_help = "\
Begin with `flow train`: it needs no options, no data and no network. It writes `runs/mnist-small/`,
and then
  flow sample  --checkpoint runs/mnist-small/model.safetensors
  flow eval    --checkpoint runs/mnist-small/model.safetensors
  flow inspect runs/mnist-small/model.safetensors

Results go to stdout, messages to stderr; RUST_LOG sets which messages (as in RUST_LOG=debug),
NO_COLOR=1 takes their colors away. The exit status is 0, 1 after a failure, 2 if the command line
is wrong."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Threads that compute on the CPU [default: RAYON_NUM_THREADS, or one for each processor]
    #[arg(long, value_name = "N", value_parser = values::count_up_to::<1024>, global = true, display_order = 99)]
    pub(crate) threads: Option<usize>,

    /// Show more messages; -vv shows all of them
    #[arg(short, long, action = ArgAction::Count, global = true, display_order = 100)]
    pub(crate) verbose: u8,
}

impl Cli {
    /// The command that was typed; ends the program with status 2 if there is none.
    pub(crate) fn read() -> Self {
        let cli = Self::parse();
        let model = match &cli.command {
            Command::Train(args) => Some(&args.model),
            Command::Bench(args) => Some(&args.model),
            _ => None,
        };
        if let Some(Err(reason)) = model.map(training::check_peer) {
            let mut command = Self::command();
            command.error(ErrorKind::ArgumentConflict, reason).exit();
        }
        cli
    }
}

/// One file in `commands` each.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train a model on images; can be stopped with Ctrl-C and resumed
    Train(Box<TrainArgs>),
    /// Measure bits per dimension of a trained model on a data set
    Eval(EvalArgs),
    /// Draw new images from a trained model, as one PNG or a GIF
    Sample(SampleArgs),
    /// Lead from one image to another through latent space
    Interpolate(InterpolateArgs),
    /// Give images more or less of an attribute
    Edit(EditArgs),
    /// Find groups of images by their latents
    Cluster(ClusterArgs),
    /// Turn images into latents, and measure their likelihood
    Encode(EncodeArgs),
    /// Turn latents back into images
    Decode(DecodeArgs),
    /// Measure the likelihood of image files
    Density(DensityArgs),
    /// Tell strange images from normal ones: compare data sets, rank images, judge files
    Outliers(Box<OutliersArgs>),
    /// Show what a model or training file holds
    Inspect(InspectArgs),
    /// Check that a trained model's likelihoods and inverses can be trusted
    Verify(VerifyArgs),
    /// Time training, likelihood and samples on this machine
    Bench(BenchArgs),
}

/// Options of `flow eval`.
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
The result is the mean over images with its standard error: an upper bound, since the noise fills
the gaps between pixel values. The same seed, model and data give the same number. With
--importance-samples K the bound is tighter and takes K times as long: for each image the mean of
K likelihoods counts, those that the seeds N, N + 1, … give alone.

A model with classes is told that of each image; besides, it is said of how many images their own is
the class under which they are likeliest.

Images without a finite likelihood stay in the mean; how many there are is said, and the exit
status is 1. In JSON, numbers that are not finite are null.

Without --dataset and --data-dir, a model of MNIST is measured on the bundled subset unless MNIST was
fetched (`cargo xtask fetch-mnist`)."
)]
pub(crate) struct EvalArgs {
    #[command(flatten)]
    pub(crate) model: CheckpointArgs,

    /// The data set [default: the one the model was trained on]
    #[arg(long, value_parser = values::dataset())]
    pub(crate) dataset: Option<DatasetName>,

    /// The part of the data set
    #[arg(long, default_value = "test", value_parser = values::split())]
    pub(crate) split: Split,

    /// Measure N images only, evenly spread over the split [default: all]
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub(crate) limit: Option<usize>,

    /// Seed of the dequantization noise
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = values::whole::<0, u64>)]
    pub(crate) seed: u64,

    /// Draws of dequantization noise for each image
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = values::count_up_to::<10_000>)]
    pub(crate) importance_samples: usize,

    /// Print one JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) data_dir: DataDirArgs,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,

    #[command(flatten)]
    pub(crate) distributed: DistributedArgs,
}

/// Options of `flow inspect`.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The `model.safetensors` or `training.safetensors` that `flow train` writes
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Print one JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `flow bench`.
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
The images are noise and the weights are fresh: neither changes how long a step takes. A training step is
forward, backward, clipping, optimizer and moving average."
)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,

    /// Images in a step, in a likelihood and in a draw
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = values::count_up_to::<65_536>)]
    pub(crate) batch_size: usize,

    /// Height and width of the images
    #[arg(long, value_name = "N", default_value_t = 28, value_parser = values::count)]
    pub(crate) size: usize,

    /// Channels of the images
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = values::count)]
    pub(crate) channels: usize,

    /// Numbers that the coupling networks are trained in: f32, or bf16 where the processor has
    /// AVX512-BF16
    #[arg(long, default_value = "f32", value_parser = train::precision())]
    pub(crate) precision: Precision,

    /// Let products of f32 on CUDA round their factors to ten bits of fraction (TF32)
    #[arg(long)]
    pub(crate) tf32: bool,

    /// What a training step keeps: plain keeps all activations, constant inverts the flow
    #[arg(long, default_value = "plain", value_parser = train::memory())]
    pub(crate) memory: Memory,

    /// Timed runs of each, of which the median counts
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = values::count_up_to::<10_000>)]
    pub(crate) iters: usize,

    /// Print one JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

/// The option every command has that computes.
#[derive(Debug, Args)]
pub(crate) struct DeviceArgs {
    /// What computes: auto, cpu, cuda, cuda:N or metal; auto is the accelerator this binary was
    /// built for, or the CPU
    #[arg(long, value_name = "DEVICE", default_value_t = DeviceChoice::Auto)]
    pub(crate) device: DeviceChoice,
}

/// The option every command has that reads data sets.
#[derive(Debug, Args)]
pub(crate) struct DataDirArgs {
    /// The folder data sets lie in, as `cargo xtask fetch` or other programs lay them out [default:
    /// data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// The option of commands that several processes can share.
#[derive(Debug, Args)]
pub(crate) struct DistributedArgs {
    /// Share the work with the other processes that a launcher started, as in `mpirun -n 2 flow …`:
    /// mpi, or nccl for one GPU each
    #[arg(long, value_name = "ENGINE", hide_possible_values = true)]
    pub(crate) distributed: Option<Engine>,
}

impl Command {
    /// Whether other processes take part.
    pub(crate) fn is_distributed(&self) -> bool {
        let option = match self {
            Self::Train(args) => &args.distributed,
            Self::Eval(args) => &args.distributed,
            Self::Outliers(args) => &args.distributed,
            _ => return false,
        };
        option.distributed.is_some()
    }
}
