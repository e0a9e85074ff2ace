//! Options of the optimization of a model.

use clap::{Args, builder::TypedValueParser};
use flow_core::{
    ops::Precision,
    train::{Memory, Optimizer},
};
use flow_glow::{TrainSettings, UnsoundInversion};

use super::Preset;
use crate::cli::values;

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
        value_parser = values::choice([
            ("adam", Optimizer::Adam),
            ("adamax", Optimizer::Adamax),
            ("muon", Optimizer::Muon),
        ]),
        help = "Optimizer; muon moves the weights of hidden layers as matrices and all others as \
                adam does [default: muon; adam for paper]"
    )]
    pub(crate) optimizer: Option<Optimizer>,

    #[arg(
        long,
        value_parser = precision(),
        help = "Precision of the coupling networks in training; bf16 is faster on processors with \
                AVX512-BF16, f32 on others [default: f32]"
    )]
    pub(crate) precision: Option<Precision>,

    /// Activations kept for the backward pass. plain keeps all. constant keeps the outputs of the
    /// levels, inverts the flow block by block, and keeps average and moments in a file: deep
    /// models need little more memory than shallow ones, and train slower [default: plain]
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

/// Values of `--precision`.
pub(in crate::cli) fn precision() -> impl TypedValueParser<Value = Precision> {
    values::choice([("f32", Precision::F32), ("bf16", Precision::Bf16)])
}

/// Values of `--memory`.
pub(in crate::cli) fn memory() -> impl TypedValueParser<Value = Memory> {
    values::choice([("plain", Memory::Plain), ("constant", Memory::Constant)])
}

fn default(help: &str, value: impl std::fmt::Display) -> String {
    format!("{help} [default: {value}]")
}
