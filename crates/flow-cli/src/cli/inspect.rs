//! Options of `flow inspect`.

use std::path::PathBuf;

use clap::Args;

/// Options of `flow inspect`.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The `model.safetensors` or `training.safetensors` that `flow train` writes, or the model of a
    /// table that `flow fit` writes
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Print one JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}
