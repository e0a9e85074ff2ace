//! Options of `flow bench`.

use clap::Args;
use flow_core::ops::Precision;
use flow_core::train::Memory;

use super::{DeviceArgs, ModelArgs, train, values};

/// Options of `flow bench`.
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
The images are noise and the weights are fresh: neither changes the time of a step. A training step
is forward, backward, clipping, optimizer and moving average."
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

    /// Memory of a training step: plain keeps all activations, constant inverts the flow
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
