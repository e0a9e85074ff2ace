//! The model that ships with this program, so that every command works before anything is trained.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use candle_core::Device;
use clap::Args;
use flow_glow::Checkpoint;

/// Which model a command takes.
#[derive(Debug, Args)]
pub(crate) struct CheckpointArgs {
    /// The model: the `model.safetensors` that `flow train` or a conversion writes [default: a model of MNIST
    /// without classes that ships with this program]
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

const NAME: &str = "the model of MNIST that ships with this program";
const MNIST: &[u8] = include_bytes!("../../../assets/models/mnist.safetensors");

impl CheckpointArgs {
    /// The model of the file, or the one that ships, which knows nothing of a class.
    pub(crate) fn load(&self, class: Option<u32>, device: &Device) -> Result<Checkpoint> {
        if let Some(path) = &self.checkpoint {
            return Ok(Checkpoint::load(path, device)?);
        }
        ensure!(
            class.is_none(),
            "{NAME} does not know classes; train one that does with `flow train --classes`, and name its `--checkpoint`"
        );
        tracing::info!("no `--checkpoint`: taking {NAME}");
        Ok(Checkpoint::from_bytes(Path::new(NAME), MNIST, device)?)
    }

    /// What to call the model in a message about it.
    pub(crate) fn name(&self) -> String {
        match &self.checkpoint {
            Some(path) => format!("`{}`", path.display()),
            None => NAME.to_owned(),
        }
    }

    /// The file, for what is found beside it.
    pub(crate) fn file(&self) -> Result<&Path> {
        let file = self.checkpoint.as_deref();
        file.context("this needs the folder of a training; name its `--checkpoint`")
    }
}
