//! The models that ship with this program, so that every command works before anything is trained.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use candle_core::Device;
use clap::Args;
use flow_glow::Checkpoint;

/// Which model a command takes.
#[derive(Debug, Args)]
pub(crate) struct CheckpointArgs {
    /// The model: the `model.safetensors` that `flow train` or a conversion writes [default: a model of MNIST
    /// that ships with this program; where --class is given, one that knows classes]
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,
}

struct Shipped {
    name: &'static str,
    bytes: &'static [u8],
}

const MNIST: Shipped = Shipped {
    name: "the model of MNIST that ships with this program",
    bytes: include_bytes!("../../../assets/models/mnist.safetensors"),
};

const MNIST_CLASSES: Shipped = Shipped {
    name: "the model of MNIST with classes that ships with this program",
    bytes: include_bytes!("../../../assets/models/mnist-classes.safetensors"),
};

impl CheckpointArgs {
    /// The model of the file, or the one that ships.
    pub(crate) fn load(&self, class: Option<u32>, device: &Device) -> Result<Checkpoint> {
        let Some(path) = &self.checkpoint else {
            let Shipped { name, bytes } = shipped(class);
            tracing::info!("no `--checkpoint`: taking {name}");
            return Ok(Checkpoint::from_bytes(Path::new(name), bytes, device)?);
        };
        Ok(Checkpoint::load(path, device)?)
    }

    /// What to call the model in a message about it.
    pub(crate) fn name(&self) -> String {
        match &self.checkpoint {
            Some(path) => format!("`{}`", path.display()),
            None => MNIST.name.to_owned(),
        }
    }

    /// The file, for what is found beside it.
    pub(crate) fn file(&self) -> Result<&Path> {
        let file = self.checkpoint.as_deref();
        file.context("this needs the folder of a training; name its `--checkpoint`")
    }
}

fn shipped(class: Option<u32>) -> Shipped {
    match class {
        None => MNIST,
        Some(_) => MNIST_CLASSES,
    }
}
