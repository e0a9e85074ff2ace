//! Options of `flow decode`.

use std::path::PathBuf;

use clap::Args;

use super::{CheckpointArgs, DeviceArgs};

/// Options of `flow decode`.
#[derive(Debug, Args)]
pub(crate) struct DecodeArgs {
    #[command(flatten)]
    pub(crate) model: CheckpointArgs,

    /// The latents: a .safetensors or .npz file with z.0, z.1, …, as `flow encode` writes it; where
    /// they have more digits than f32, in f64, they are decoded in f64
    #[arg(long, value_name = "FILE")]
    pub(crate) input: PathBuf,

    /// Write the numbers that the model itself sees, not pixels; to any file but a .png
    #[arg(long)]
    pub(crate) raw: bool,

    /// The class of all images, by name or number, counted from 0; for models with classes
    /// [default: the labels in the file]
    #[arg(long, value_name = "CLASS")]
    pub(crate) class: Option<String>,

    /// File to write: a .png, the images side by side without gaps; a .safetensors or .npz file
    /// with x [N, C, H, W]; or a .npy file of that array
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}
