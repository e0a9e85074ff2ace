//! The folder of a training run, and the files in it.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::{cli::OutputArgs, output::files};

/// The folder of samples in it.
const SAMPLES: &str = "samples";

/// The folder of models that are kept.
const MODELS: &str = "models";

/// The folder that a training run writes to.
#[derive(Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
    overwrite: bool,
    /// Locked while this run works. The system releases the lock however the process ends.
    lock: Option<File>,
}

impl RunFolder {
    /// Chooses the folder and checks that its content goes with the options. Locks the folder of a
    /// training that is to be resumed.
    pub(crate) fn open(args: &OutputArgs, default: PathBuf) -> Result<Self> {
        let mut folder = Self {
            path: args.out.clone().unwrap_or(default),
            overwrite: args.overwrite,
            lock: None,
        };
        // Files of a run at work change, so the lock comes first.
        if folder.lock_file().exists() {
            folder.lock()?;
        }
        if !args.resume {
            folder.check_replaceable()?;
        } else if folder.training().is_file() {
            folder.claim()?;
        } else {
            bail!(
                "there is no training to resume: `{}` does not exist; leave out `--resume` to begin one",
                folder.training().display()
            );
        }
        Ok(folder)
    }

    /// The folder that rank 0 has opened.
    pub(crate) fn of_leader(args: &OutputArgs, default: PathBuf) -> Self {
        Self {
            path: args.out.clone().unwrap_or(default),
            overwrite: false,
            lock: None,
        }
    }

    /// The folder of a training of another process, to be read.
    pub(crate) fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            overwrite: false,
            lock: None,
        }
    }

    /// Locks the folder and removes the files of another run.
    pub(crate) fn clear(&mut self) -> Result<()> {
        self.claim()?;
        // Another run may have written here in the meantime.
        self.check_replaceable()?;
        self.files().iter().try_for_each(|file| remove(file))
    }

    /// The folder itself.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The trained model, which the other commands take.
    pub(crate) fn model(&self) -> PathBuf {
        self.path.join("model.safetensors")
    }

    /// The state of the training, which `--resume` goes on from.
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

    /// The course of the run for TensorBoard.
    pub(crate) fn events(&self) -> PathBuf {
        self.path.join("events.out.tfevents.flow")
    }

    /// Samples drawn in this epoch, from 1.
    pub(crate) fn samples(&self, epoch: u64) -> PathBuf {
        self.samples_folder().join(format!("epoch-{epoch:04}.png"))
    }

    /// The epochs of which there are samples, in their order.
    pub(crate) fn sampled_epochs(&self) -> Vec<u64> {
        let files = samples_in(&self.samples_folder());
        let epoch = |file: &PathBuf| {
            let name = file.file_stem()?.to_str()?;
            let epoch = name.strip_prefix("epoch-")?.parse().ok()?;
            (self.samples(epoch) == *file).then_some(epoch)
        };
        let mut epochs = files.iter().filter_map(epoch).collect::<Vec<_>>();
        epochs.sort_unstable();
        epochs
    }

    /// The pictures of samples in the folder in which `file` lies, from the first epoch to the
    /// last.
    pub(crate) fn samples_beside(file: &Path) -> Vec<PathBuf> {
        let folder = file.parent().unwrap_or(Path::new("")).join(SAMPLES);
        let mut found = samples_in(&folder);
        found.sort();
        found
    }

    /// The model after so many seconds of training, in a folder that is made for it.
    pub(crate) fn kept_model(&self, seconds: f64) -> Result<PathBuf> {
        let folder = self.path.join(MODELS);
        files::create_folder(&folder)?;
        Ok(folder.join(format!("{:06}s.safetensors", seconds.floor())))
    }

    fn samples_folder(&self) -> PathBuf {
        self.path.join(SAMPLES)
    }

    fn lock_file(&self) -> PathBuf {
        self.path.join(".lock")
    }

    /// Makes the folder and that of samples, locks it, and removes unfinished files of a killed
    /// run.
    fn claim(&mut self) -> Result<()> {
        let samples = self.samples_folder();
        files::create_folder(&samples)?;
        self.lock()?;
        let own = self.fixed_files();
        files::remove_leftovers(&self.path, |name| {
            own.iter()
                .any(|file| file.file_name() == Some(name.as_ref()))
        })?;
        files::remove_leftovers(&samples, is_sample)?;
        let models = self.path.join(MODELS);
        if models.is_dir() {
            files::remove_leftovers(&models, is_kept_model)?;
        }
        Ok(())
    }

    /// Locks the folder.
    fn lock(&mut self) -> Result<()> {
        if self.lock.is_some() {
            return Ok(());
        }
        let path = self.lock_file();
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        match file.try_lock() {
            Ok(()) => self.lock = Some(file),
            Err(TryLockError::WouldBlock) => bail!(
                "another training is at work in `{}`: wait for it, stop it, or choose another `--out`",
                self.path.display()
            ),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock `{}`", path.display()));
            }
        }
        Ok(())
    }

    /// Refuses to replace a training, unless `--overwrite` allows it.
    fn check_replaceable(&self) -> Result<()> {
        match self.files().into_iter().find(|file| file.exists()) {
            Some(file) if !self.overwrite => bail!(
                "`{}` exists already: go on with `--resume`, replace it with `--overwrite`, or choose another `--out`",
                file.display()
            ),
            _ => Ok(()),
        }
    }

    /// All files that a run leaves in the folder.
    fn files(&self) -> Vec<PathBuf> {
        let samples = samples_in(&self.samples_folder());
        let models = files_in(&self.path.join(MODELS), is_kept_model);
        let fixed = self.fixed_files().into_iter();
        fixed.chain(samples).chain(models).collect()
    }

    fn fixed_files(&self) -> [PathBuf; 5] {
        [
            self.training(),
            self.model(),
            self.metrics(),
            self.curve(),
            self.events(),
        ]
    }
}

fn samples_in(folder: &Path) -> Vec<PathBuf> {
    files_in(folder, is_sample)
}

/// The files in `folder` whose names are `ours`.
fn files_in(folder: &Path, ours: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let found = fs::read_dir(folder).into_iter().flatten().flatten();
    found
        .filter(|entry| ours(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .collect()
}

fn is_kept_model(name: &str) -> bool {
    let seconds = name.strip_suffix("s.safetensors");
    seconds.is_some_and(|seconds| seconds.len() >= 6 && seconds.bytes().all(|b| b.is_ascii_digit()))
}

fn is_sample(name: &str) -> bool {
    let number = name.strip_prefix("epoch-");
    number.is_some_and(|number| number.strip_suffix(".png").is_some())
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.with_context(|| format!("cannot remove `{}`", path.display())),
    }
}
