//! The command line: commands, options, and the texts of `--help`.

mod bench;
mod cluster;
mod convert;
mod data;
mod decode;
mod density;
mod edit;
mod encode;
mod eval;
mod explore;
mod fetch;
mod fit;
mod inspect;
mod interpolate;
mod measure;
mod outliers;
mod sample;
mod score;
mod shared;
mod train;
mod values;
mod verify;

use clap::{ArgAction, CommandFactory, Parser, Subcommand, error::ErrorKind};

pub(crate) use bench::BenchArgs;
pub(crate) use cluster::ClusterArgs;
pub(crate) use convert::ConvertArgs;
pub(crate) use data::SurveyArgs;
pub(crate) use decode::DecodeArgs;
pub(crate) use density::DensityArgs;
pub(crate) use edit::EditArgs;
pub(crate) use encode::EncodeArgs;
pub(crate) use eval::EvalArgs;
pub(crate) use explore::ExploreArgs;
pub(crate) use fetch::FetchArgs;
pub(crate) use fit::{FitArgs, FlowArgs, RecipeChoice};
pub(crate) use inspect::InspectArgs;
pub(crate) use interpolate::InterpolateArgs;
pub(crate) use measure::MeasureArgs;
pub(crate) use outliers::OutliersArgs;
pub(crate) use sample::{Motion, SampleArgs};
pub(crate) use score::{ScoreArgs, TableModelArgs};
pub(crate) use shared::{
    CheckpointArgs, DataDirArgs, DeviceArgs, DistributedArgs, FittingArgs, PictureArgs,
};
pub(crate) use train::{
    DataArgs, LimitArgs, ModelArgs, OptimizationArgs, OutputArgs, PreprocessingChoice, Preset,
    TrainArgs,
};
pub(crate) use verify::VerifyArgs;

use crate::training;

/// Normalizing flows: train Glow on images, fit flows to tables, evaluate and sample them
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
    /// The command that was typed. Ends the program with status 2 if it is missing.
    pub(crate) fn read() -> Self {
        let cli = Self::parse();
        let checked = match &cli.command {
            Command::Train(args) => training::check_peer(&args.model),
            Command::Bench(args) => training::check_peer(&args.model),
            Command::Fetch(args) => args.location().map(drop),
            _ => Ok(()),
        };
        if let Err(reason) = checked {
            let mut command = Self::command();
            command.error(ErrorKind::ArgumentConflict, reason).exit();
        }
        cli
    }
}

/// One file in `commands` each.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Get a data set from the Hugging Face hub or from files you have
    Fetch(FetchArgs),
    /// Look at the images of a data set: sizes, colors, classes, damaged and duplicate ones
    Data(SurveyArgs),
    /// Train a model on images; can be stopped with Ctrl-C and resumed
    Train(Box<TrainArgs>),
    /// Fit a flow to the columns of a table, CSV or Parquet
    Fit(Box<FitArgs>),
    /// Measure ln p of the rows of a table
    Score(ScoreArgs),
    /// Measure bits per dimension of a trained model on a data set
    Eval(EvalArgs),
    /// Draw new images from a trained model, as one PNG or a GIF, or new rows of a table
    Sample(SampleArgs),
    /// Lead from one image to another through latent space
    Interpolate(InterpolateArgs),
    /// Give images more or less of an attribute
    Edit(EditArgs),
    /// Find groups of images by their latents
    Cluster(ClusterArgs),
    /// Look at a model in a browser: draw, mix, change and judge images
    Explore(Box<ExploreArgs>),
    /// Turn images into latents, and measure their likelihood
    Encode(EncodeArgs),
    /// Turn latents back into images
    Decode(DecodeArgs),
    /// Measure the likelihood of image files
    Density(DensityArgs),
    /// Tell strange images from normal ones: compare data sets, rank images, judge files
    Outliers(Box<OutliersArgs>),
    /// Measure thickness, slant, width and brightness of images
    Measure(MeasureArgs),
    /// Convert a model of another program into a checkpoint, or a checkpoint for a program
    Convert(Box<ConvertArgs>),
    /// Show what a model or training file holds
    Inspect(InspectArgs),
    /// Check that a trained model's likelihoods and inverses can be trusted
    Verify(VerifyArgs),
    /// Time training, likelihood and samples on this machine
    Bench(BenchArgs),
}

impl Command {
    /// True if other processes take part.
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
