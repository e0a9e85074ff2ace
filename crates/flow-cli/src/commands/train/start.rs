//! The model and settings that a training begins or goes on with.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use candle_core::Device;
use flow_data::{Batches, Dataset};
use flow_glow::{Checkpoint, GlowConfig, TrainSettings, Trainer};
use indicatif::HumanCount;

use super::{data::Chosen, images::open_images};
use crate::{
    cli::TrainArgs,
    input::{data, pretrained},
    output::{console::Console, words},
    process_group::ProcessGroup,
    training::{self, Images, Journal, Limits, Notes, RunFolder},
};

/// The beginning of a training, the same in all processes.
pub(super) struct Start {
    pub(super) trainer: Trainer,
    pub(super) images: Images,
    pub(super) notes: Notes,
    pub(super) folder: RunFolder,
}

/// A trained model to begin with.
struct Source {
    /// Its name in a header.
    name: String,
    /// The same in a message.
    shown: String,
    checkpoint: Checkpoint,
}

impl Start {
    pub(super) fn of(args: &TrainArgs, group: &ProcessGroup, console: &Console) -> Result<Self> {
        let leads = group.ranks.leads();
        let source = Source::of(args, &group.device)?;
        let model = source.as_ref();
        let model = model.map(|source| (&source.checkpoint.header, &*source.shown));
        let chosen = Chosen::fresh(&args.data, model)?;
        let default = default_folder(args, &chosen.location.name());
        let mut folder = if leads {
            RunFolder::open(&args.output, default)?
        } else {
            RunFolder::of_leader(&args.output, default)
        };
        let (trainer, images, notes) = if args.output.resume {
            resume(args, &folder, &group.device, console)?
        } else {
            begin(args, &chosen, source, &group.device, console)?
        };
        let (batch_size, size) = (trainer.settings().batch_size, group.ranks.size());
        ensure!(
            batch_size >= size,
            "a batch of {} is too small for {}; choose a larger `--batch-size`",
            words::count(batch_size, "image"),
            words::count(size, "process")
        );
        // Only now the new training is certain to replace the old one.
        if leads && !args.output.resume {
            folder.clear()?;
        }
        Ok(Self {
            trainer,
            images,
            notes,
            folder,
        })
    }
}

impl Source {
    /// The model of `--from`, if it is given.
    fn of(args: &TrainArgs, device: &Device) -> Result<Option<Self>> {
        Ok(match &args.output.from {
            None => None,
            Some(None) => {
                let (name, checkpoint) = pretrained::shipped(args.model.classes, device)?;
                Some(Self {
                    name: name.to_owned(),
                    shown: name.to_owned(),
                    checkpoint,
                })
            }
            Some(Some(path)) => Some(Self {
                name: path.display().to_string(),
                shown: format!("`{}`", path.display()),
                checkpoint: Checkpoint::load(path, device)?,
            }),
        })
    }

    /// A training on `images` that begins with its weights.
    fn trainer(&self, args: &TrainArgs, images: &Images, device: &Device) -> Result<Trainer> {
        let header = &self.checkpoint.header;
        training::check_form(&args.model, &header.model, &self.shown)?;
        data::check_form(&header.model, &images.train)?;
        let config = training::config_from(&args.model, &header.model, &images.train)?;
        config
            .validate()
            .with_context(|| format!("cannot begin with {}", self.shown))?;
        let settings = training::settings_from(args, header, &config);
        check_batch_size(settings.batch_size, &images.train)?;
        let mut trainer = Trainer::new(&config, settings, images.train.name(), device)?;
        trainer.data = serde_json::to_value(&images.record)?;
        trainer.begin_with(&self.checkpoint, &self.name)?;
        tracing::info!(
            "beginning with the weights of {}, {}",
            self.shown,
            self.kept(&config)
        );
        Ok(trainer)
    }

    /// The preprocessing of the new training, in words.
    fn kept(&self, config: &GlowConfig) -> &'static str {
        if config.preprocessing == self.checkpoint.header.model.preprocessing {
            "and its preprocessing, tables included"
        } else {
            "with another preprocessing, as `--preprocessing` asks"
        }
    }
}

/// A fresh training.
fn begin(
    args: &TrainArgs,
    chosen: &Chosen,
    source: Option<Source>,
    device: &Device,
    console: &Console,
) -> Result<(Trainer, Images, Notes)> {
    let data = &args.data;
    let mutate = data.mutate.unwrap_or(0.0);
    let model = source
        .as_ref()
        .map(|source| &source.checkpoint.header.model);
    let changes = (data.flip, mutate);
    let images = open_images(args, chosen, model, changes, data.eval_images, console)?;
    let trainer = match source {
        None => fresh(args, &images, device)?,
        Some(source) => source.trainer(args, &images, device)?,
    };
    let notes = images.notes(Limits::default(), Journal::default());
    Ok((trainer, images, notes))
}

/// A model with weights of its own.
fn fresh(args: &TrainArgs, images: &Images, device: &Device) -> Result<Trainer> {
    let config = GlowConfig {
        condition: images.condition.clone(),
        ..training::config(&args.model, &images.train)?
    };
    config.validate()?;
    let settings = training::settings(args);
    let (batch_size, seed) = (settings.batch_size, settings.seed);
    check_batch_size(batch_size, &images.train)?;

    let mut trainer = Trainer::new(&config, settings, images.train.name(), device)?;
    trainer.data = serde_json::to_value(&images.record)?;
    let count = TrainSettings::FIRST_IMAGES.min(images.train.len());
    let mut first = Batches::new(&images.train, count, seed, 0).mutated(images.mutate);
    let first = first
        .next()
        .context("the data set holds no training images")??;
    trainer.initialize(images.train.data(&first, &config, device)?)?;
    Ok(trainer)
}

/// The training that lies in the folder.
fn resume(
    args: &TrainArgs,
    folder: &RunFolder,
    device: &Device,
    console: &Console,
) -> Result<(Trainer, Images, Notes)> {
    let mut trainer = Trainer::resume(&folder.training(), device)?;
    let notes = Notes::read(&trainer)?;
    let chosen = Chosen::resumed(&args.data, &trainer)?;
    let eval_images = args.data.eval_images.or(notes.eval_images);
    let mutation = (notes.flip, notes.mutate);
    let model = Some(trainer.config());
    let images = open_images(args, &chosen, model, mutation, eval_images, console)?;
    data::check_form(trainer.config(), &images.train)?;
    notes.check_images(&images)?;
    let settings = training::resumed_settings(args, &trainer, &notes, &images.train)?;
    let batch_size = trainer.settings().batch_size;
    check_batch_size(batch_size, &images.train)?;
    ensure!(
        trainer.progress.batch < (images.train.len() / batch_size) as u64,
        "`{}` stands behind the end of its epoch, where no training can stand",
        folder.training().display()
    );
    trainer.set_memory(settings.memory, settings.unsound_inversion);
    tracing::info!("resuming after step {}", HumanCount(trainer.progress.step));
    Ok((trainer, images, notes))
}

fn check_batch_size(batch_size: usize, train: &Dataset) -> Result<()> {
    ensure!(
        batch_size <= train.len(),
        "a batch of {} is more than the {}; choose a smaller `--batch-size`",
        words::count(batch_size, "image"),
        words::count(train.len(), "training image")
    );
    Ok(())
}

fn default_folder(args: &TrainArgs, dataset: &str) -> PathBuf {
    let kind = match &args.output.from {
        Some(_) => "fine-tuned",
        None => args.model.preset.unwrap_or_default().as_str(),
    };
    PathBuf::from("runs").join(format!("{}-{kind}", dataset.replace('/', "-")))
}
