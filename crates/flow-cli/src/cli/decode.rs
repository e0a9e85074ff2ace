//! Options of `flow decode`.

use std::path::PathBuf;

use clap::Args;

use super::{CheckpointArgs, DeviceArgs};

/// Options of `flow decode`.
#[derive(Debug, Args)]
pub(crate) struct DecodeArgs {
    #[command(flatten)]
    pub(crate) model: CheckpointArgs,

    /// The latents: a safetensors file with z.0, z.1, …, as `flow encode` writes it; where they
    /// have more digits than f32, in f64, they are decoded in f64
    #[arg(long, value_name = "FILE")]
    pub(crate) input: PathBuf,

    /// Write the numbers that the model itself sees, not pixels; to a safetensors file only
    #[arg(long)]
    pub(crate) raw: bool,

    /// The class of all images, counted from 0; for models with classes [default: the labels in the
    /// file]
    #[arg(long, value_name = "K")]
    pub(crate) class: Option<u32>,

    /// File to write: a .png, the images side by side without gaps; or a .safetensors file with x
    /// [N, C, H, W]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}
