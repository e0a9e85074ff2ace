//! The folder of a training run and the files in it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::{cli::OutputArgs, files};

/// Where a training run writes.
#[derive(Clone, Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Chooses the folder and checks that what is there goes with what was asked for.
    pub(crate) fn open(args: &OutputArgs, default: PathBuf) -> Result<Self> {
        let path = args.out.clone().unwrap_or(default);
        let folder = Self { path };
        if args.resume {
            if !folder.training().is_file() {
                bail!(
                    "there is no training to resume: `{}` does not exist; leave out `--resume` to begin one",
                    folder.training().display()
                );
            }
        } else if !args.overwrite
            && let Some(file) = folder.files().into_iter().find(|file| file.exists())
        {
            bail!(
                "`{}` exists already: go on with `--resume`, replace it with `--overwrite`, or choose another `--out`",
                file.display()
            );
        }
        Ok(folder)
    }

    /// Makes the folder and removes what another run left there.
    pub(crate) fn clear(&self) -> Result<()> {
        files::create_folder(&self.samples_folder())?;
        let files = self.files();
        files.iter().try_for_each(|file| remove(file))
    }

    /// The folder itself.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What the other commands take.
    pub(crate) fn model(&self) -> PathBuf {
        self.path.join("model.safetensors")
    }

    /// What `--resume` goes on from.
    pub(crate) fn training(&self) -> PathBuf {
        self.path.join("training.safetensors")
    }

    /// The course of the run.
    pub(crate) fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// The course of the run as a picture.
    pub(crate) fn curve(&self) -> PathBuf {
        self.path.join("curve.png")
    }

    /// Samples drawn in this epoch, from 1.
    pub(crate) fn samples(&self, epoch: u64) -> PathBuf {
        self.samples_folder().join(format!("epoch-{epoch:04}.png"))
    }

    fn samples_folder(&self) -> PathBuf {
        self.path.join("samples")
    }

    /// What a run leaves in the folder.
    fn files(&self) -> Vec<PathBuf> {
        let names = [self.training(), self.model(), self.metrics(), self.curve()];
        let found = fs::read_dir(self.samples_folder())
            .into_iter()
            .flatten()
            .flatten();
        let pictures = found.map(|entry| entry.path()).filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("epoch-") && name.ends_with(".png")
        });
        names.into_iter().chain(pictures).collect()
    }
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.with_context(|| format!("cannot remove `{}`", path.display())),
    }
}
