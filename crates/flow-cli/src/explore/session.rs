//! The options of the command, and the files that they name.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use candle_core::Device;

use crate::{cli::ExploreArgs, output::console::Console, training::RunFolder};

/// The model that is looked at unless another is named.
const DEFAULT: &str = "mnist-classes";

/// The options of an exploration.
pub(crate) struct Session {
    pub(super) args: ExploreArgs,
    pub(super) console: Console,
    pub(super) device: Device,
    /// The folder of the training whose course is shown.
    pub(super) run: Option<RunFolder>,
    /// The file of the model, or the name of one that ships.
    pub(super) checkpoint: PathBuf,
}

impl Session {
    /// Finds the model and its training.
    ///
    /// # Errors
    /// If there is no such file or folder, or the device cannot be opened.
    pub(crate) fn new(args: ExploreArgs, console: Console) -> Result<Self> {
        let device = args.device.device.open()?;
        let typed = args.checkpoint.clone();
        let typed = typed.unwrap_or_else(|| PathBuf::from(DEFAULT));
        let run = run_of(&typed);
        let checkpoint = match &run {
            Some(run) if typed.is_dir() => run.model(),
            _ => {
                ensure!(
                    !typed.is_dir(),
                    "`{}` holds no training: `metrics.jsonl` is not there",
                    typed.display()
                );
                typed
            }
        };
        Ok(Self {
            args,
            console,
            device,
            run,
            checkpoint,
        })
    }
}

/// The training that a path names: its folder, or the model in it.
fn run_of(path: &Path) -> Option<RunFolder> {
    let folder = if path.is_dir() { path } else { path.parent()? };
    let run = RunFolder::at(folder);
    run.metrics().is_file().then_some(run)
}
