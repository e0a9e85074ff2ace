//! The models that ship with this program, so that every command works before anything is trained.

use std::path::Path;

use anyhow::{Context, Result};
use candle_core::Device;
use flow_glow::Checkpoint;

use crate::{cli::CheckpointArgs, input::condition};

const NAME: &str = "the model of MNIST that ships with this program";
const MNIST: &[u8] = include_bytes!("../../../../assets/models/mnist.safetensors");
const NAME_WITH_CLASSES: &str = "the model of MNIST with classes that ships with this program";
const MNIST_WITH_CLASSES: &[u8] =
    include_bytes!("../../../../assets/models/mnist-classes.safetensors");

/// The names by which `--checkpoint` takes them, where there is no such file.
const NAMES: [(&str, bool); 2] = [("mnist", false), ("mnist-classes", true)];

/// The model in a file, or one that ships, by its name.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn open(path: &Path, device: &Device) -> Result<Checkpoint> {
    let shipping = NAMES.into_iter().find(|(name, _)| path == Path::new(name));
    match shipping {
        Some((_, with_classes)) if !path.exists() => Ok(shipped(with_classes, device)?.1),
        _ => Ok(Checkpoint::load(path, device)?),
    }
}

/// The model that ships, with classes or without, and its name.
pub(crate) fn shipped(with_classes: bool, device: &Device) -> Result<(&'static str, Checkpoint)> {
    let (name, bytes) = if with_classes {
        (NAME_WITH_CLASSES, MNIST_WITH_CLASSES)
    } else {
        (NAME, MNIST)
    };
    let checkpoint = Checkpoint::from_bytes(Path::new(name), bytes, device)?;
    Ok((name, checkpoint))
}

impl CheckpointArgs {
    /// The model of the file, or one that ships: with classes if `with_classes` is set.
    ///
    /// # Errors
    /// If it cannot be read, or is conditional on numbers.
    pub(crate) fn load(&self, with_classes: bool, device: &Device) -> Result<Checkpoint> {
        let checkpoint = self.load_conditional(with_classes, device)?;
        condition::refuse(&checkpoint.header.model)?;
        Ok(checkpoint)
    }

    /// As [`load`](Self::load), for a command that can give numbers.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn load_conditional(
        &self,
        with_classes: bool,
        device: &Device,
    ) -> Result<Checkpoint> {
        if let Some(path) = &self.checkpoint {
            return open(path, device);
        }
        let (name, checkpoint) = shipped(with_classes, device)?;
        tracing::info!("no `--checkpoint`: taking {name}");
        Ok(checkpoint)
    }

    /// The name of the model in messages.
    pub(crate) fn name(&self) -> String {
        match &self.checkpoint {
            Some(path) => format!("`{}`", path.display()),
            None => NAME.to_owned(),
        }
    }

    /// The file, beside which others lie.
    pub(crate) fn file(&self) -> Result<&Path> {
        let file = self.checkpoint.as_deref();
        file.context("this needs the folder of a training; name its `--checkpoint`")
    }
}
